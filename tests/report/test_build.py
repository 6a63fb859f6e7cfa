"""What the report shows: the right pictures, the worst mistakes first, and what was left out of training."""

import datetime as dt
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tasks.decode.photos import open_stores
from tasks.decode.rejections import MissingPhoto
from tasks.errors import StoreError
from tasks.progress import NullProgress
from tasks.report.build import _rejected, build_report
from tasks.report.selection import MOST_SAMPLES, MOST_SHOWN, SAMPLES_PER_LABEL
from tasks.report.view_model import Exports, LabelChange, LabelCount, PhotoPath, Report
from tasks.snapshot.photos import read_snapshot
from tasks.train.settings import FinetuneSettings
from tests.bottleneck.pictures import decoded_store, draw, encode, key_of
from tests.report.laid_out import (
    COUNTS,
    DAY,
    DECODE,
    LABELS,
    SETTINGS,
    LaidOut,
    draw_photos,
    keep_record,
    lay_out,
    row,
    rows_of,
    take,
)
from tests.support.progress import Tally
from tests.train.examples import BOTTLENECK, settings

COUNT = sum(COUNTS)


def gather(laid_out: LaidOut) -> Report:
    return build_report(laid_out.occasion, laid_out.root, NullProgress())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> LaidOut:
    """A run with a run before it, and with photos that lie at several paths."""
    folder = tmp_path_factory.mktemp("whole")
    conflict = [row(900, f"{label}/both.png", conflict=True) for label in ("daisy", "roses")]
    photos = draw_photos()
    copy = row(1, "zz.jpg", duplicate_of=next(path for path in photos.paths if path.endswith("/1.jpg")))
    label = photos.labels[photos.truth[photos.sha256.index(key_of(1))]]
    laid_out = lay_out(folder, photos, extra=[*conflict, {**copy, "path": f"{label}/zz.jpg", "label": label}])
    before = [one for one in rows_of(photos) if one["sha256"] not in (key_of(5), key_of(6))]
    take(laid_out.root, "old", [*before, row(901, "tulips/gone.jpg")])
    keep_record(laid_out.root, DAY - dt.timedelta(1), "old")
    return laid_out


@pytest.fixture(scope="module")
def report(whole: LaidOut) -> Report:
    return gather(whole)


def test_pictures_are_those_of_their_photos(report: Report) -> None:
    assert report.changes is not None
    guesses = [*report.mistakes, *report.uncertain]
    for picture in (*report.samples, *report.changes.pictures, *(guess.picture for guess in guesses)):
        label, _, file = picture.path.partition("/")
        assert picture.image == encode(draw(int(file.removesuffix(".jpg")), 8))
        assert picture.label == label


def test_samples_are_a_few_of_each_label(report: Report) -> None:
    assert Counter(picture.label for picture in report.samples) == dict.fromkeys(LABELS, SAMPLES_PER_LABEL)
    assert len({picture.path for picture in report.samples}) == 3 * SAMPLES_PER_LABEL


def test_mistakes_are_the_test_photos_that_are_wrong_the_most_confident_first(whole: LaidOut, report: Report) -> None:
    naive = []
    photos = whole.photos
    for place, split in enumerate(photos.splits.names):
        row_ = whole.probabilities[place].tolist()
        first, second = sorted(range(3), key=lambda label: -row_[label])[:2]
        if split == "test" and first != photos.truth[place]:
            naive.append((row_[first], photos.paths[place], LABELS[first], LABELS[second], row_[second]))
    naive.sort(reverse=True)
    assert 5 < len(naive) <= MOST_SHOWN
    told = [(one.probability, one.picture.path, one.predicted, one.runner_up, one.second) for one in report.mistakes]
    assert told == naive


def test_uncertain_photos_are_those_of_the_test_split_with_the_smallest_lead(whole: LaidOut, report: Report) -> None:
    photos, naive = whole.photos, []
    for place in np.flatnonzero(photos.of("test")):
        *_, second, first = sorted(whole.probabilities[place].tolist())
        naive.append((first - second, photos.paths[place]))
    assert [one.picture.path for one in report.uncertain] == [path for _, path in sorted(naive)[:MOST_SHOWN]]
    assert all(one.second <= one.probability for one in report.uncertain)


def test_counts_are_those_of_labels_and_splits(whole: LaidOut, report: Report) -> None:
    photos = whole.photos
    pairs = Counter(zip((LABELS[truth] for truth in photos.truth), photos.splits.names, strict=True))
    expected = [LabelCount(name, *(pairs[name, split] for split in ("train", "validation", "test"))) for name in LABELS]
    assert report.counts == expected
    assert [count.total for count in report.counts] == list(COUNTS)


def test_a_conflict_lists_every_place_and_a_duplicate_shows_its_picture(report: Report) -> None:
    (conflict,) = report.conflicts
    assert conflict.places == [PhotoPath("daisy/both.png", "daisy"), PhotoPath("roses/both.png", "roses")]
    (duplicate,) = report.duplicates
    assert [place.path.rpartition("/")[2] for place in duplicate.places] == ["1.jpg", "zz.jpg"]
    assert duplicate.image == encode(draw(1, 8))


def test_what_is_new_since_the_run_before_is_told_by_label_and_shown(report: Report) -> None:
    assert report.before is not None
    assert report.changes is not None
    assert report.before.snapshot == "old"
    assert report.changes.since == DAY - dt.timedelta(1)
    new = {picture.path.partition("/")[2] for picture in report.changes.pictures}
    assert new == {"5.jpg", "6.jpg"}
    assert sum(change.added for change in report.changes.labels) == 2
    assert LabelChange("tulips", 0, 1, 0) in [replace(change, added=0) for change in report.changes.labels]


def test_the_runs_end_with_this_one_and_their_trend_is_drawn(report: Report) -> None:
    assert [night.accuracy for night in report.nights] == [0.8, report.metrics.accuracy]
    assert report.figures.trend
    assert report.notes == []


def exports_of(whole: LaidOut, details: dict[str, Any]) -> Exports | None:
    """What a report tells of an export, by what its manifest says."""
    stages = {**whole.occasion.stages, "export": replace(whole.occasion.stages["train"], details=details)}
    return replace(whole.occasion, stages=stages).exports


def test_provenance_decision_and_exports_are_those_of_the_stages(whole: LaidOut, report: Report) -> None:
    assert report.decision.reason == "The model is the first of its dataset."
    assert list(report.summary.provenance) == ["Keys", "Parameters", "Model", "Versions"]
    assert report.exports is None
    tested = {"test": {"saved_model": {"photos": 20, "agreement": 0.995, "accuracy": 0.9}}, "left_out": {}}
    assert exports_of(whole, tested) == Exports({"saved_model": 0.995}, refused=False, note="")


def test_a_report_says_why_an_export_was_refused_or_not_tested(whole: LaidOut) -> None:
    bad = {"test": {"model.tflite": {"photos": 20, "agreement": 0.5}}, "left_out": {}, "refused": "It is wrong."}
    assert exports_of(whole, bad) == Exports({"model.tflite": 0.5}, refused=True, note="It is wrong.")
    away = {"test": {"saved_model": {"photos": 0, "agreement": None}}, "left_out": {"gone": 20}}
    exports = exports_of(whole, away)
    assert exports is not None
    assert (exports.least, exports.refused) == (None, False)
    assert exports.note.startswith(
        "The export was not tested: saved_model, since no test photo could be read (20 gone)."
    )


def test_a_stage_that_an_earlier_run_had_done_took_no_time(whole: LaidOut) -> None:
    stages = {**whole.occasion.stages, "decode": replace(whole.occasion.stages["decode"], seconds=9.0)}
    assert replace(whole.occasion, stages=stages).seconds["decode"] == 9.0
    assert replace(whole.occasion, stages=stages, run="another").seconds["decode"] == 0.0
    assert replace(whole.occasion, run="another").night().new == 0


def test_every_part_is_told_of(whole: LaidOut) -> None:
    tally = Tally()
    build_report(whole.occasion, whole.root, tally)
    assert tally.done == tally.total > 1


def test_many_labels_have_fewer_samples_each_and_many_fills_one_note(tmp_path: Path) -> None:
    labels = tuple(f"label {number:03}" for number in range(90))
    many = draw_photos((6,) * 90, labels)
    report = gather(lay_out(tmp_path, many))
    assert Counter(picture.label for picture in report.samples) == dict.fromkeys(labels, MOST_SAMPLES // 90)
    assert len(many.splits.filled) > 20
    assert len(report.notes) == 11
    assert "'label " in report.notes[0]
    assert report.notes[-1] == f"Likewise in {len(many.splits.filled) - 10} more splits of labels with few photos."


def test_no_more_mistakes_than_the_most_are_shown(tmp_path: Path) -> None:
    many = draw_photos((200, 200, 200))
    wrong = np.eye(3, dtype=np.float32)[(many.truth + 1) % 3]
    report = gather(lay_out(tmp_path, many, wrong))
    assert many.of("test").sum() > MOST_SHOWN
    assert len(report.mistakes) == len(report.uncertain) == MOST_SHOWN
    assert [label.average_precision is not None for label in report.labels] == [True] * 3
    assert [label.recall for label in report.labels] == [0.0] * 3


def test_the_first_run_has_nothing_before_it_and_a_perfect_model_no_mistakes(tmp_path: Path) -> None:
    photos = draw_photos()
    report = gather(lay_out(tmp_path, photos, np.eye(3, dtype=np.float32)[photos.truth]))
    assert report.mistakes == []
    assert (report.before, report.changes, report.figures.trend) == (None, None, None)
    assert [night.date for night in report.nights] == [DAY]


def test_a_snapshot_that_is_gone_leaves_what_is_new_unknown_and_says_so(tmp_path: Path) -> None:
    laid_out = lay_out(tmp_path, draw_photos())
    keep_record(laid_out.root, DAY - dt.timedelta(2), "gone")
    report = gather(laid_out)
    assert report.changes is None
    assert report.notes == ["What is new since the run of 2026-11-22 is not known: its snapshot cannot be read."]


def test_rejected_photos_are_named_as_this_snapshot_names_them(tmp_path: Path) -> None:
    here = [row(702, "tulips/z.jpg"), row(701, "daisy/a.jpg")]
    laid_out = lay_out(tmp_path, draw_photos(), extra=here)
    rejected = open_stores(laid_out.root, DECODE).rejected
    rows = [
        {"sha256": key_of(number), "path": "elsewhere/old.jpg", "reason": "damaged", "message": f"message {number}"}
        for number in (701, 702, 703)
    ]
    rejected.append(pa.Table.from_pylist(rows, rejected.schema))
    assert gather(laid_out).rejected == [
        MissingPhoto("daisy/a.jpg", "damaged", "message 701"),
        MissingPhoto("tulips/z.jpg", "damaged", "message 702"),
    ]


def test_a_photo_that_one_of_two_decode_stages_rejected_is_told_of_once(tmp_path: Path) -> None:
    laid_out = lay_out(tmp_path, draw_photos((10, 10, 10)), extra=[row(700, "daisy/b.jpg"), row(701, "daisy/a.jpg")])
    root, stages = laid_out.root, dict(laid_out.occasion.stages)
    bottlenecks = (BOTTLENECK, replace(BOTTLENECK, backbone=replace(BOTTLENECK.backbone, crop="stretch")))
    train = settings(bottlenecks=bottlenecks)
    own = replace(decoded_store(root, train.decodes[1], [range(29)]), details={"missing": 2})
    stages |= {"decode-2": own, "bottleneck-2": replace(stages["bottleneck"], photos=29)}
    for decode, numbers in zip(train.decodes, ((701,), (700, 701)), strict=True):
        rejected = open_stores(root, decode).rejected
        rows = [{"sha256": key_of(number), "path": "x", "reason": "damaged", "message": "m"} for number in numbers]
        rejected.append(pa.Table.from_pylist(rows, rejected.schema))
    occasion = replace(laid_out.occasion, stages=stages)
    assert (occasion.photos.photos, occasion.rejected, occasion.night().photos) == (29, 2, 29)
    assert _rejected(read_snapshot(root, "snap"), train.decodes, root) == [
        MissingPhoto("daisy/a.jpg", "damaged", "m"),
        MissingPhoto("daisy/b.jpg", "damaged", "m"),
    ]


def test_a_network_has_no_map(whole: LaidOut) -> None:
    train = FinetuneSettings(SETTINGS.train.backbones[0], "png", 5, 32, 0.0003, 9)
    stages = dict(whole.occasion.stages)
    del stages["bottleneck"]
    stages["train"] = replace(stages["train"], details={"steps": 7})
    occasion = replace(whole.occasion, settings=replace(SETTINGS, train=train), stages=stages)
    assert build_report(occasion, whole.root, NullProgress()).map is None


def test_lost_pictures_are_an_error_that_says_what_to_delete(tmp_path: Path) -> None:
    laid_out = lay_out(tmp_path, draw_photos())
    for shard in open_stores(laid_out.root, DECODE).decoded.shards():
        shard.unlink()
    with pytest.raises(StoreError, match=r"pictures for the report\. Delete its folder manifests"):
        gather(laid_out)
