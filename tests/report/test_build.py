"""A report's content: the right pictures, the worst mistakes first, and the photos that were left out of training."""

import datetime as dt
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tasks.champion.champion_file import ChampionOrder, publish_champion
from tasks.decode.images import read_pixels
from tasks.decode.photos import open_stores
from tasks.decode.settings import DecodeSettings
from tasks.errors import StoreError
from tasks.evaluate.label_issues import find_label_issues, publish_label_issues, read_label_issues
from tasks.keys import file_sha256
from tasks.progress import NullProgress
from tasks.report.build import Report, _repeated_images, build_report
from tasks.report.dataset import LabelChange, PhotoPath, RepeatedPhoto, RepeatedPhotos
from tasks.report.gallery import MAX_SAMPLES, MAX_SHOWN, SAMPLES_PER_LABEL, Gallery, decode_repeated
from tasks.report.inline_images import tile_pictures
from tasks.report.label_issues import FEWEST_ISSUES, MOST_ISSUES, read_shown_issues
from tasks.train.settings import FinetuneSettings
from tests.bottleneck.pictures import draw, encode, key_of
from tests.report.made_up import keep_previous
from tests.support.data_root import (
    COUNTS,
    DATASET,
    DAY,
    LABELS,
    SETTINGS,
    StagedRun,
    draw_photos,
    draw_probabilities,
    first_champion,
    publish_snapshot,
    snapshot_row,
    snapshot_rows,
    stage_run,
)
from tests.support.progress import Tally


def judge(staged: StagedRun) -> int:
    """Judge the labels of a run as its evaluate stage does; returns the number of issues."""
    photos, evaluation = staged.predicted.photos, staged.run.stages["evaluate"]
    crossed = draw_probabilities(len(photos.sha256), len(photos.labels), seed=1)
    issues = find_label_issues(photos.truth, crossed, np.zeros(len(photos.truth), bool))
    publish_label_issues(staged.root.evaluate(evaluation.key), photos, issues, {})
    return int(issues.is_issue.sum())


def build(staged: StagedRun) -> Report:
    return build_report(staged.run, staged.root, NullProgress())


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> StagedRun:
    """A run after another one, with photos that have several paths."""
    photos = draw_photos()
    path = next(path for path in photos.paths if path.endswith("/1.jpg"))
    conflicts = [snapshot_row(900, f"{label}/both.png", conflict=True) for label in ("daisy", "roses")]
    duplicate = snapshot_row(1, path.replace("/1.jpg", "/zz.jpg"), duplicate_of=path)
    staged = stage_run(tmp_path_factory.mktemp("staged"), photos, extra=[*conflicts, duplicate])
    before = [row for row in snapshot_rows(photos) if row["sha256"] not in (key_of(5), key_of(6))]
    publish_snapshot(staged.root, [*before, snapshot_row(901, "tulips/gone.jpg")], "old")
    keep_previous(staged.root, 1, "old")
    return staged


@pytest.fixture(scope="module")
def progress() -> Tally:
    return Tally()


@pytest.fixture(scope="module")
def report(staged: StagedRun, progress: Tally) -> Report:
    return build_report(staged.run, staged.root, progress)


def picture_at(path: str) -> bytes:
    return encode(draw(int(path.partition("/")[2].removesuffix(".jpg")), 8))


def test_pictures_are_those_of_their_photos(report: Report) -> None:
    guesses = [*report.mistakes, *report.uncertain]
    for photo in (*report.samples, *report.added, *(guess.photo for guess in guesses)):
        assert photo.image == picture_at(photo.path)
        assert photo.label == photo.path.partition("/")[0]


def test_samples_are_a_few_of_each_label(report: Report) -> None:
    assert Counter(photo.label for photo in report.samples) == dict.fromkeys(LABELS, SAMPLES_PER_LABEL)
    assert len({photo.path for photo in report.samples}) == 3 * SAMPLES_PER_LABEL


def test_mistakes_are_the_wrong_test_photos_the_most_confident_first(staged: StagedRun, report: Report) -> None:
    naive, photos = [], staged.predicted.photos
    for index in np.flatnonzero(photos.of("test")):
        probabilities = staged.predicted.probabilities[index].tolist()
        first, second = sorted(range(3), key=lambda label: -probabilities[label])[:2]
        if first != photos.truth[index]:
            top = (probabilities[first], photos.paths[index], LABELS[first], LABELS[second], probabilities[second])
            naive.append(top)
    naive.sort(reverse=True)
    assert 5 < len(naive) <= MAX_SHOWN
    assert naive == [
        (each.probability, each.photo.path, each.predicted, each.runner_up, each.runner_up_probability)
        for each in report.mistakes
    ]


def test_uncertain_photos_are_test_photos_with_the_smallest_lead(staged: StagedRun, report: Report) -> None:
    photos, naive = staged.predicted.photos, []
    for index in np.flatnonzero(photos.of("test")):
        *_, second, first = sorted(staged.predicted.probabilities[index].tolist())
        naive.append((first - second, photos.paths[index]))
    assert [each.photo.path for each in report.uncertain] == [path for _, path in sorted(naive)[:MAX_SHOWN]]
    assert all(each.runner_up_probability <= each.probability for each in report.uncertain)


def test_a_duplicate_has_its_picture_and_a_conflict_whose_file_is_gone_has_none(report: Report) -> None:
    (conflict,), (duplicate,) = report.repeated
    assert [place.path for place in conflict.paths] == ["daisy/both.png", "roses/both.png"]
    assert [place.path.rpartition("/")[2] for place in duplicate.paths] == ["1.jpg", "zz.jpg"]
    assert report.repeated_images == {key_of(1): encode(draw(1, 8))}


def test_a_conflict_has_the_picture_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "photos" / "daisy").mkdir(parents=True)
    file = tmp_path / "photos" / "daisy" / "both.png"
    file.write_bytes(encode(draw(1, 8)))
    key = file_sha256(file)
    conflicts = [snapshot_row(900, f"{label}/both.png", conflict=True) for label in ("daisy", "roses")]
    staged = stage_run(tmp_path, draw_photos((10, 10, 10)), extra=[{**row, "sha256": key} for row in conflicts])
    report = build_report(replace(staged.run, folder=tmp_path / "photos"), staged.root, NullProgress())
    assert report.repeated_images.keys() == {key}


def test_only_the_first_photos_with_several_paths_have_a_picture(staged: StagedRun) -> None:
    photos = [RepeatedPhoto(key_of(number), []) for number in range(MAX_SHOWN + 1)]
    gallery = Gallery(staged.predicted, {each.sha256: b"" for each in photos[1:]})
    shown = _repeated_images(RepeatedPhotos([], photos), gallery)
    assert list(shown) == [photo.sha256 for photo in photos[1:MAX_SHOWN]]


def test_changes_since_the_previous_run_are_counted_by_label_and_shown(report: Report) -> None:
    assert report.previous is not None
    assert report.changes is not None
    assert report.previous.snapshot == "old"
    assert {photo.path.partition("/")[2] for photo in report.added} == {"5.jpg", "6.jpg"}
    assert sum(change.added for change in report.changes.labels) == 2
    assert LabelChange("tulips", 0, 1, 0) in [change._replace(added=0) for change in report.changes.labels]


def test_runs_provenance_decision_and_exports_are_those_of_the_stages(report: Report, progress: Tally) -> None:
    assert progress.done == progress.total > 1
    assert [run.accuracy for run in report.runs] == [0.9, report.results.metrics.accuracy]
    assert report.figures.trend
    assert report.notes == []
    assert report.decision.reason == "First model of this dataset."
    assert list(report.provenance) == ["Keys", "Parameters", "Model", "Versions"]
    assert report.exports is None


def test_each_point_of_the_map_is_its_photo(staged: StagedRun, report: Report) -> None:
    assert report.map is not None
    assert report.map.photos == len(report.map.points) == sum(COUNTS)
    photos, predicted = staged.predicted.photos, staged.predicted.predicted
    order = [(point.label, point.wrong) for point in report.map.points]
    assert order == sorted(order)
    for point in report.map.points:
        index = photos.paths.index(point.path)
        assert (point.label, point.predicted) == (photos.truth[index], predicted[index])
        assert point.split == photos.splits.names[index]
    assert report.map.sheets == tile_pictures([picture_at(point.path) for point in report.map.points])


def test_many_labels_have_fewer_samples_each_and_many_fills_one_note(tmp_path: Path) -> None:
    labels = tuple(f"label {number:03}" for number in range(60))
    many = draw_photos((6,) * 60, labels)
    report = build(stage_run(tmp_path, many))
    assert Counter(photo.label for photo in report.samples) == dict.fromkeys(labels, MAX_SAMPLES // 60)
    assert len(many.splits.filled) > 20
    assert len(report.notes) == 11
    assert "'label " in report.notes[0]
    assert report.notes[-1] == f"Likewise in {len(many.splits.filled) - 10} more splits of labels with few photos."


def test_no_more_mistakes_than_the_most_are_shown(tmp_path: Path) -> None:
    many = draw_photos((200, 200, 200))
    report = build(stage_run(tmp_path, many, np.eye(3, dtype=np.float32)[(many.truth + 1) % 3]))
    assert many.of("test").sum() > MAX_SHOWN
    assert len(report.mistakes) == len(report.uncertain) == MAX_SHOWN
    assert [label.recall for label in report.results.metrics.per_label] == [0.0] * 3


def test_the_first_run_has_nothing_before_it_and_a_perfect_model_no_mistakes(tmp_path: Path) -> None:
    photos = draw_photos()
    report = build(stage_run(tmp_path, photos, np.eye(3, dtype=np.float32)[photos.truth]))
    assert report.mistakes == []
    assert (report.previous, report.changes, report.figures.trend) == (None, None, None)
    assert [run.date for run in report.runs] == [DAY]


def test_changes_since_a_snapshot_that_is_gone_are_not_known(tmp_path: Path) -> None:
    staged = stage_run(tmp_path, draw_photos((10, 10, 10)))
    keep_previous(staged.root, 2, "gone")
    bad = keep_previous(staged.root, 4, "bad")
    bad.write_text("{")
    report = build(staged)
    assert report.changes is None
    *_, damaged, unknown = report.notes
    assert damaged.startswith(f"A run is left out: {bad} is damaged")
    assert unknown == "The changes since the run of 2026-11-22 are not known: its snapshot cannot be read."


def test_a_network_has_no_map(staged: StagedRun) -> None:
    train = FinetuneSettings(SETTINGS.train.backbones[0], "png", 5, 32, 0.0003, 9)
    stages = {name: stage for name, stage in staged.run.stages.items() if name != "bottleneck"}
    stages["train"] = replace(stages["train"], details={"steps": 7})
    run = replace(staged.run, settings=replace(SETTINGS, train=train), stages=stages)
    assert build_report(run, staged.root, NullProgress()).map is None


def test_lost_pictures_are_an_error_that_says_what_to_delete(tmp_path: Path) -> None:
    staged = stage_run(tmp_path, draw_photos((10, 10, 10)))
    for shard in open_stores(staged.root, SETTINGS.train.decodes[0]).decoded.shards():
        shard.unlink()
    with pytest.raises(StoreError, match=r"pictures for the report\. Delete its folder manifests"):
        build(staged)


def test_pictures_are_made_from_files_but_not_from_missing_changed_or_damaged_ones(tmp_path: Path) -> None:
    (tmp_path / "daisy").mkdir()
    files = {"good": encode(draw(1, 8)), "changed": encode(draw(2, 8)), "damaged": b"\x89PNG\r\n\x1a\n"}
    for name, content in files.items():
        (tmp_path / "daisy" / name).write_bytes(content)
    keys = {name: file_sha256(tmp_path / "daisy" / name) for name in ("good", "damaged")}
    paths = {key: f"daisy/{name}" for name, key in keys.items()} | {key_of(2): "daisy/changed", key_of(3): "daisy/gone"}
    photos = [RepeatedPhoto(key, [PhotoPath(path, "daisy")]) for key, path in paths.items()]
    images = decode_repeated(photos, tmp_path, DecodeSettings(8, 8, encoding="png"))
    assert images.keys() == {keys["good"]}
    assert (read_pixels(images[keys["good"]]) == draw(1, 8)).all()


def test_the_last_orders_about_the_champion_until_the_date_of_the_run_are_noted(tmp_path: Path) -> None:
    staged = stage_run(tmp_path, draw_photos())
    time = dt.datetime.combine(DAY, dt.time(12), dt.UTC)
    orders = [ChampionOrder(time + dt.timedelta(days), "pin", f"model {days}", None) for days in (-3, -2, -1, 0, 1)]
    champion = replace(first_champion("model"), orders=tuple(orders))
    publish_champion(staged.root.champion(DATASET), DATASET, champion)
    notes = [note for note in build(staged).notes if note.startswith("A person")]
    assert notes == [f"A person pinned model {days} on {DAY + dt.timedelta(days)}." for days in (-2, -1, 0)]


def test_label_issues_are_shown_with_their_pictures_the_worst_first(staged: StagedRun) -> None:
    total = judge(staged)
    evaluate = staged.run.stages["evaluate"]
    judged = replace(evaluate, details={**evaluate.details, "label_issues": total})
    report = build(replace(staged, run=replace(staged.run, stages={**staged.run.stages, "evaluate": judged})))
    assert report.label_issues is not None
    shown = report.label_issues.photos
    assert (report.label_issues.total, len(shown)) == (total, min(total, MOST_ISSUES))
    rows = read_label_issues(staged.root.evaluate(evaluate.key))
    assert [issue for _, issue in shown] == rows[: len(shown)]
    for photo, issue in shown[:5]:
        assert (photo.path, photo.label, photo.image) == (issue.path, issue.label, picture_at(issue.path))


def test_a_few_issues_are_followed_by_photos_that_look_more_like_another_label(staged: StagedRun) -> None:
    judge(staged)
    evaluate = staged.run.stages["evaluate"]
    judged = replace(evaluate, details={**evaluate.details, "label_issues": 2})
    run = replace(staged.run, stages={**staged.run.stages, "evaluate": judged})
    assert len(read_shown_issues(run, staged.root)) == FEWEST_ISSUES
    assert read_shown_issues(staged.run, staged.root) == []
    assert build(staged).label_issues is None
