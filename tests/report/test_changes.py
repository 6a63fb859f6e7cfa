"""What is new since the run before, by content and not by path."""

from pathlib import Path

import pyarrow as pa
import pytest

from tasks.report.changes import SnapshotChanges, compare_snapshots, read_difference
from tasks.report.view_model import LabelChange
from tasks.shards.schemas import SNAPSHOT
from tasks.storage.layout import DataRoot
from tests.bottleneck.pictures import key_of
from tests.report.laid_out import row, take

BEFORE = [row(1, "daisy/a.jpg"), row(2, "daisy/b.jpg"), row(3, "roses/c.jpg"), row(4, "roses/d.jpg")]


def compare(*now: dict[str, object]) -> SnapshotChanges:
    tables = [pa.Table.from_pylist(list(rows), SNAPSHOT) for rows in (BEFORE, now)]
    return compare_snapshots(*tables)


def test_added_removed_and_relabelled_photos_are_told_by_label() -> None:
    now = [row(1, "daisy/a.jpg"), row(2, "roses/b.jpg"), row(4, "roses/d.jpg"), row(5, "tulips/e.jpg")]
    difference = compare(*now)
    assert difference.labels == [LabelChange("roses", 0, 1, 1), LabelChange("tulips", 1, 0, 0)]
    assert difference.added == [key_of(5)]


@pytest.mark.parametrize(
    "now",
    [
        BEFORE,
        [row(1, "daisy/moved.jpg"), *BEFORE[1:]],
        [*BEFORE, row(1, "daisy/copy.jpg", duplicate_of="daisy/a.jpg")],
    ],
)
def test_photos_that_were_moved_or_copied_are_no_change(now: list[dict[str, object]]) -> None:
    assert compare(*now) == SnapshotChanges([], [])


def test_a_photo_that_came_into_conflict_is_gone() -> None:
    both = [row(1, "daisy/a.jpg", conflict=True), row(1, "roses/a.jpg", conflict=True)]
    assert compare(*BEFORE[1:], *both).labels == [LabelChange("daisy", 0, 1, 0)]


def test_nobody_knows_what_changed_since_a_snapshot_that_is_gone_or_damaged(tmp_path: Path) -> None:
    root, now = DataRoot(tmp_path), pa.Table.from_pylist(BEFORE, SNAPSHOT)
    assert read_difference("old", now, root) is None
    take(root, "old", BEFORE)
    assert read_difference("old", now, root) == SnapshotChanges([], [])
    root.snapshot("old").write_bytes(b"PAR1")
    assert read_difference("old", now, root) is None


def test_a_label_in_another_form_of_unicode_is_no_change() -> None:
    tables = [pa.Table.from_pylist([row(1, f"{label}/a.jpg")], SNAPSHOT) for label in ("cafe\u0301", "caf\u00e9")]
    assert compare_snapshots(*tables) == SnapshotChanges([], [])
