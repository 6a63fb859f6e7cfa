"""The data section: changes by content and not by path, and photos with several paths."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tasks.decode.photos import open_stores
from tasks.decode.rejections import MissingPhoto
from tasks.report.dataset import (
    LabelChange,
    LabelCount,
    PhotoPath,
    RepeatedPhoto,
    SnapshotChanges,
    compare_snapshots,
    count_photos,
    find_rejected_photos,
    find_repeated_photos,
    read_changes,
)
from tasks.shards.schemas import SNAPSHOT
from tasks.storage.layout import DataRoot
from tests.bottleneck.pictures import key_of
from tests.support.data_root import COUNTS, LABELS, draw_photos, publish_snapshot, snapshot_row
from tests.train.examples import BOTTLENECK, settings

TWO_CROPS = settings(
    bottlenecks=(BOTTLENECK, replace(BOTTLENECK, backbone=replace(BOTTLENECK.backbone, crop="stretch")))
)
BEFORE = [
    snapshot_row(number, path)
    for number, path in enumerate(("daisy/a.jpg", "daisy/b.jpg", "roses/c.jpg", "roses/d.jpg"), 1)
]


def table(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), SNAPSHOT)


def compare(*now: dict[str, Any]) -> SnapshotChanges:
    return compare_snapshots(table(*BEFORE), table(*now))


def test_added_removed_and_relabelled_photos_are_counted_by_label_and_one_in_conflict_as_removed() -> None:
    changes = compare(BEFORE[0], snapshot_row(2, "roses/b.jpg"), BEFORE[3], snapshot_row(5, "tulips/e.jpg"))
    assert changes.labels == [LabelChange("roses", 0, 1, 1), LabelChange("tulips", 1, 0, 0)]
    assert changes.added == [key_of(5)]
    both = [snapshot_row(1, f"{label}/a.jpg", conflict=True) for label in ("daisy", "roses")]
    assert compare(*BEFORE[1:], *both).labels == [LabelChange("daisy", 0, 1, 0)]


@pytest.mark.parametrize(
    "now",
    [
        BEFORE,
        [snapshot_row(1, "daisy/moved.jpg"), *BEFORE[1:]],
        [*BEFORE, snapshot_row(1, "daisy/copy.jpg", duplicate_of="daisy/a.jpg")],
    ],
    ids=["same", "moved", "copied"],
)
def test_photos_that_were_moved_or_copied_are_no_change(now: list[dict[str, Any]]) -> None:
    assert compare(*now) == SnapshotChanges([], [])


def test_a_label_in_another_form_of_unicode_is_no_change() -> None:
    tables = [table(snapshot_row(1, f"{label}/a.jpg")) for label in ("cafe\u0301", "caf\u00e9")]
    assert compare_snapshots(*tables) == SnapshotChanges([], [])


def test_changes_since_a_missing_or_damaged_snapshot_are_not_known(root: DataRoot[Path]) -> None:
    now = table(*BEFORE)
    assert read_changes("old", now, root) is None
    publish_snapshot(root, BEFORE, "old")
    assert read_changes("old", now, root) == SnapshotChanges([], [])
    root.snapshot("old").write_bytes(b"PAR1")
    assert read_changes("old", now, root) is None


def test_duplicates_are_grouped_by_label_and_conflicts_list_all_paths() -> None:
    found = find_repeated_photos(
        table(
            snapshot_row(1, "daisy/a.jpg"),
            snapshot_row(1, "daisy/b.jpg", duplicate_of="daisy/a.jpg"),
            snapshot_row(1, "daisy/c.jpg", duplicate_of="daisy/a.jpg"),
            snapshot_row(2, "roses/d.jpg"),
            snapshot_row(3, "roses/e.jpg"),
            snapshot_row(3, "roses/f.jpg", duplicate_of="roses/e.jpg"),
            snapshot_row(4, "roses/g.jpg", conflict=True),
            snapshot_row(4, "tulips/h.jpg", conflict=True),
        )
    )
    assert found.duplicates == [
        RepeatedPhoto(key_of(1), [PhotoPath(f"daisy/{name}.jpg", "daisy") for name in "abc"]),
        RepeatedPhoto(key_of(3), [PhotoPath(f"roses/{name}.jpg", "roses") for name in "ef"]),
    ]
    assert found.conflicts == [
        RepeatedPhoto(key_of(4), [PhotoPath("roses/g.jpg", "roses"), PhotoPath("tulips/h.jpg", "tulips")])
    ]


def test_photos_are_counted_by_label_and_split() -> None:
    photos = draw_photos()
    pairs = Counter(zip((LABELS[label] for label in photos.truth), photos.splits.names, strict=True))
    counts = count_photos(photos)
    assert counts == [
        LabelCount(name, *(pairs[name, split] for split in ("train", "validation", "test"))) for name in LABELS
    ]
    assert [count.total for count in counts] == list(COUNTS)


def test_rejected_photos_have_the_paths_of_this_snapshot_and_stand_once_for_several_ways_to_decode(
    root: DataRoot[Path],
) -> None:
    for decode, numbers in zip(TWO_CROPS.decodes, ((701, 703), (700, 701)), strict=True):
        rejected = open_stores(root, decode).rejected
        rows = [
            {"sha256": key_of(number), "path": "elsewhere/old.jpg", "reason": "damaged", "message": f"message {number}"}
            for number in numbers
        ]
        rejected.append(pa.Table.from_pylist(rows, rejected.schema))
    snapshot = table(snapshot_row(701, "daisy/a.jpg"), snapshot_row(700, "tulips/z.jpg"))
    assert find_rejected_photos(snapshot, TWO_CROPS.decodes, root) == [
        MissingPhoto("daisy/a.jpg", "damaged", "message 701"),
        MissingPhoto("tulips/z.jpg", "damaged", "message 700"),
    ]
