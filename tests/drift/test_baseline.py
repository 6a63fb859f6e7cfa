"""The earlier snapshot that new photos are compared with."""

import datetime as dt
from pathlib import Path

import pytest

from tasks.drift.baseline import find_baseline
from tasks.storage.files import publish_bytes
from tasks.storage.layout import DataRoot
from tests.support.data_root import DATASET, DAY, keep, publish_snapshot, record


@pytest.fixture
def root(tmp_path: Path) -> DataRoot[Path]:
    return DataRoot(tmp_path / "data")


def leave(root: DataRoot, days: int, snapshot: str, kept_by: str | None = None, parameters: str = "aaaaaaaa") -> None:
    """Leave the record and the snapshot of a run some days before the date."""
    champion = {"verdict": "refused" if kept_by == "drift" else "new", "kept_by": kept_by}
    publish_snapshot(root, [], snapshot)
    keep(root, record(root, f"{DAY - dt.timedelta(days)}", snapshot=snapshot, champion=champion), parameters=parameters)


def test_it_is_that_of_the_newest_run_for_an_earlier_date(root: DataRoot[Path]) -> None:
    assert find_baseline(root, DATASET, DAY) == ""
    for days, snapshot in ((3, "three"), (1, "one"), (0, "today"), (-1, "tomorrow")):
        leave(root, days, snapshot)
    assert find_baseline(root, DATASET, DAY) == "one"
    assert find_baseline(root, DATASET, DAY - dt.timedelta(1)) == "three"
    assert find_baseline(root, "another", DAY) == ""


def test_photos_that_were_refused_stay_new_until_a_run_accepts_them(root: DataRoot[Path]) -> None:
    leave(root, 3, "three")
    leave(root, 2, "two", "drift")
    leave(root, 1, "one", "drift")
    assert find_baseline(root, DATASET, DAY) == "three"
    leave(root, 2, "two", parameters="bbbbbbbb")
    assert find_baseline(root, DATASET, DAY) == "two"


@pytest.mark.parametrize("kept_by", ["accuracy", "label"])
def test_a_model_that_was_worse_saw_its_photos(root: DataRoot[Path], kept_by: str) -> None:
    leave(root, 1, "one", kept_by)
    assert find_baseline(root, DATASET, DAY) == "one"


def test_a_damaged_record_or_a_lost_snapshot_is_passed_over(root: DataRoot[Path]) -> None:
    leave(root, 3, "three")
    leave(root, 2, "two")
    root.snapshot("two").unlink()
    publish_bytes(root.runs(DATASET) / f"{DAY - dt.timedelta(1)}-cccccccc.json", b"{")
    assert find_baseline(root, DATASET, DAY) == "three"
