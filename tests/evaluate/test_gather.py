"""What the report shows: the right pictures, the worst mistakes first, and what was left out of training."""

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tasks.artifacts import SNAPSHOT, DataRoot
from tasks.decode.photos import open_stores
from tasks.decode.rejections import Missing
from tasks.decode.settings import DecodeSettings
from tasks.errors import StoreError
from tasks.evaluate.gather import MOST_MISTAKES, MOST_SAMPLES, SAMPLES_PER_LABEL, Predicted, gather_report
from tasks.evaluate.metrics import measure, wilson_interval
from tasks.evaluate.report import CrossValidation, LabelCount, PhotoPath, Report, Summary
from tasks.train.photos import Photos
from tests.bottleneck.pictures import decoded_store, draw, encode, key_of
from tests.evaluate.drawing import Probabilities, draw_probabilities, photos_of
from tests.train.examples import draw_examples

LABELS = ("daisy", "roses", "tulips")
DECODE = DecodeSettings(size=8, resize=8, encoding="png")
COUNT = 300


def summary(photos: int) -> Summary:
    crossed = CrossValidation(5, 0.9, wilson_interval(9, 10))
    return Summary("drawn", dt.date(2026, 11, 24), "none", photos, 0, crossed, {}, {})


def row(number: int, path: str, *, duplicate_of: str | None = None, conflict: bool = False) -> dict[str, object]:
    label, key = path.split("/", maxsplit=1)[0], key_of(number)
    return {
        "sha256": key,
        "path": path,
        "label": label,
        "bytes": 1,
        "duplicate_of": duplicate_of,
        "conflict": conflict,
    }


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    return DataRoot(tmp_path)


@pytest.fixture(scope="module")
def photos() -> Photos:
    return photos_of(draw_examples((100, 110, 90)), LABELS)


def gather(
    root: DataRoot, photos: Photos, probabilities: Probabilities, rows: Sequence[dict[str, object]] = ()
) -> Report:
    test = photos.of("test")
    metrics = measure(photos.truth[test], probabilities[test], photos.labels)
    table = pa.Table.from_pylist(sorted(rows, key=lambda one: str(one["path"])), SNAPSHOT)
    return gather_report(summary(len(photos.sha256)), Predicted(photos, probabilities, metrics), table, DECODE, root)


def test_pictures_are_those_of_their_photos(root: DataRoot, photos: Photos) -> None:
    decoded_store(root, DECODE, [range(150), range(150, COUNT)])
    report = gather(root, photos, draw_probabilities(COUNT, 3))
    shown = [*report.samples, *(mistake.picture for mistake in report.mistakes)]
    for picture in shown:
        label, _, file = picture.path.partition("/")
        assert picture.image == encode(draw(int(file.removesuffix(".jpg")), 8))
        assert picture.label == label


def test_samples_are_a_few_of_each_label(root: DataRoot, photos: Photos) -> None:
    decoded_store(root, DECODE, [range(COUNT)])
    report = gather(root, photos, draw_probabilities(COUNT, 3))
    assert Counter(picture.label for picture in report.samples) == dict.fromkeys(LABELS, SAMPLES_PER_LABEL)
    assert len({picture.path for picture in report.samples}) == 3 * SAMPLES_PER_LABEL


def test_many_labels_have_fewer_samples_each(root: DataRoot) -> None:
    labels = tuple(f"label {number:03}" for number in range(90))
    many = photos_of(draw_examples((6,) * 90, width=90), labels)
    decoded_store(root, DECODE, [range(540)])
    report = gather(root, many, draw_probabilities(540, 90))
    assert Counter(picture.label for picture in report.samples) == dict.fromkeys(labels, MOST_SAMPLES // 90)


def test_mistakes_are_the_test_photos_that_are_wrong_the_most_confident_first(root: DataRoot, photos: Photos) -> None:
    decoded_store(root, DECODE, [range(COUNT)])
    probabilities = draw_probabilities(COUNT, 3)
    report = gather(root, photos, probabilities)
    naive = []
    for place, split in enumerate(photos.splits.names):
        guess = int(probabilities[place].argmax())
        if split == "test" and guess != photos.truth[place]:
            naive.append((float(probabilities[place, guess]), photos.paths[place], LABELS[guess]))
    naive.sort(reverse=True)
    # Few enough, or the limit would have to be tested: 30 test photos, of which a third is right by chance.
    assert 5 < len(naive) <= MOST_MISTAKES
    assert [(one.probability, one.picture.path, one.predicted) for one in report.mistakes] == naive


def test_no_more_mistakes_than_the_most_are_shown(root: DataRoot) -> None:
    many = photos_of(draw_examples((300, 300, 300)), LABELS)
    decoded_store(root, DECODE, [range(900)])
    wrong = np.eye(3, dtype=np.float32)[(many.truth + 1) % 3]
    assert many.of("test").sum() > MOST_MISTAKES
    assert len(gather(root, many, wrong).mistakes) == MOST_MISTAKES


def test_perfect_head_has_no_mistakes(root: DataRoot, photos: Photos) -> None:
    decoded_store(root, DECODE, [range(COUNT)])
    assert gather(root, photos, np.eye(3, dtype=np.float32)[photos.truth]).mistakes == []


def test_counts_are_those_of_labels_and_splits(root: DataRoot, photos: Photos) -> None:
    decoded_store(root, DECODE, [range(COUNT)])
    report = gather(root, photos, draw_probabilities(COUNT, 3))
    pairs = Counter(zip((LABELS[truth] for truth in photos.truth), photos.splits.names, strict=True))
    expected = [LabelCount(name, *(pairs[name, split] for split in ("train", "validation", "test"))) for name in LABELS]
    assert report.counts == expected
    assert [count.total for count in report.counts] == [100, 110, 90]


def test_split_that_was_filled_in_is_noted_by_label(root: DataRoot) -> None:
    small = photos_of(draw_examples((3, 60)), ("rare", "roses"))
    decoded_store(root, DECODE, [range(63)])
    notes = gather(root, small, draw_probabilities(63, 2)).notes
    assert len(notes) == len(small.splits.filled) > 0
    assert all("'rare'" in note for note in notes)


def test_duplicates_are_grouped_under_their_first_path(root: DataRoot, photos: Photos) -> None:
    decoded_store(root, DECODE, [range(COUNT)])
    rows = [
        row(1, "daisy/a.jpg"),
        row(1, "daisy/b.jpg", duplicate_of="daisy/a.jpg"),
        row(1, "daisy/c.jpg", duplicate_of="daisy/a.jpg"),
        row(2, "roses/d.jpg"),
        row(3, "roses/e.jpg"),
        row(3, "roses/f.jpg", duplicate_of="roses/e.jpg"),
    ]
    report = gather(root, photos, draw_probabilities(COUNT, 3), rows)
    assert report.duplicates == [
        [PhotoPath(f"daisy/{name}.jpg", "daisy") for name in "abc"],
        [PhotoPath(f"roses/{name}.jpg", "roses") for name in "ef"],
    ]
    assert report.conflicts == []


def test_conflicts_list_every_place_of_the_photo(root: DataRoot, photos: Photos) -> None:
    decoded_store(root, DECODE, [range(COUNT)])
    rows = [
        row(1, "daisy/a.jpg", conflict=True),
        row(1, "roses/b.jpg", conflict=True),
        row(2, "roses/c.jpg"),
    ]
    report = gather(root, photos, draw_probabilities(COUNT, 3), rows)
    assert report.conflicts == [[PhotoPath("daisy/a.jpg", "daisy"), PhotoPath("roses/b.jpg", "roses")]]
    assert report.duplicates == []


def test_rejected_photos_are_named_as_this_snapshot_names_them(root: DataRoot, photos: Photos) -> None:
    decoded_store(root, DECODE, [range(COUNT)])
    rejected = open_stores(root, DECODE).rejected
    rows = [
        {"sha256": key_of(number), "path": "elsewhere/old.jpg", "reason": "damaged", "message": f"message {number}"}
        for number in (1, 2, 3)
    ]
    rejected.append(pa.Table.from_pylist(rows, rejected.schema))
    here = [row(2, "tulips/z.jpg"), row(1, "daisy/a.jpg"), row(9, "roses/good.jpg")]
    report = gather(root, photos, draw_probabilities(COUNT, 3), here)
    assert report.rejected == [
        Missing("daisy/a.jpg", "damaged", "message 1"),
        Missing("tulips/z.jpg", "damaged", "message 2"),
    ]


def test_lost_pictures_are_an_error_that_says_what_to_delete(root: DataRoot, photos: Photos) -> None:
    decoded_store(root, DECODE, [range(COUNT // 2)])
    with pytest.raises(StoreError, match=r"pictures for the report: shards are gone\. Delete its folder manifests"):
        gather(root, photos, draw_probabilities(COUNT, 3))
