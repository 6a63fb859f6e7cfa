"""The snapshot task: what is published, and what stays, if photos cannot be reached or are gone."""

import datetime as dt
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.catalog import find_dataset
from tasks.download.source_fallback import last_known_dataset
from tasks.errors import DatasetError
from tasks.run_context import RunContext
from tasks.shards.manifests import Manifest
from tasks.snapshot.task import TakeSnapshot, source_state
from tasks.storage.layout import DataRoot
from tests.snapshot.photo_files import put, put_numbered

FIRST, SECOND, THIRD = (dt.date(2026, 3, day) for day in (1, 2, 3))


class Runs:
    """A data root and a folder of twelve photos under two labels, which hold no pictures here."""

    def __init__(self, folder: Path) -> None:
        self.photos, self.root = folder / "photos", DataRoot(folder / "data")
        for label in ("roses", "tulips"):
            put_numbered(self.photos, label, range(6))
        self.dataset = find_dataset(str(self.photos), 0)

    def task(self, date: dt.date, **options: Any) -> TakeSnapshot:
        """The task of a date."""
        context = RunContext(data_root=str(self.root.path), run_id=f"{date}")
        return TakeSnapshot(context=context, dataset=self.dataset, date=date, **options)

    def take(self, date: dt.date, **options: Any) -> Manifest:
        """Take the snapshot of a date."""
        task = self.task(date, **options)
        task.run()
        return task.manifest()

    def files(self) -> dict[Path, bytes]:
        """All published files."""
        return {path: path.read_bytes() for path in self.root.path.rglob("*") if path.is_file()}


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    """A data root after its first run."""
    runs = Runs(tmp_path)
    runs.take(FIRST)
    return runs


def empty(photos: Path) -> None:
    shutil.rmtree(photos)
    (photos / "roses").mkdir(parents=True)


def without_photos(photos: Path) -> None:
    shutil.rmtree(photos)
    put(photos, {"lost+found/README.txt": b"a mount point"})


def no_folder(photos: Path) -> None:
    shutil.rmtree(photos)
    photos.write_text("a file")


@pytest.mark.parametrize(
    ("take_away", "why"),
    [
        (shutil.rmtree, "No such file or directory"),
        (empty, "it holds no photo that can be read"),
        (without_photos, "it holds no photo that can be read"),
        (no_folder, "Not a directory"),
    ],
)
def test_a_run_without_its_folder_fails_or_goes_on_with_the_last_snapshot_and_says_so(
    runs: Runs, take_away: Callable[[Path], None], why: str
) -> None:
    before, first = runs.files(), runs.task(FIRST).manifest()
    take_away(runs.photos)
    with pytest.raises(DatasetError) as caught:
        runs.take(SECOND)
    assert f"The folder {runs.photos} could not be reached ({why})" in str(caught.value)
    assert "with the photos of 2026-03-01: --on-missing-source use-last" in str(caught.value)
    assert runs.files() == before
    second = runs.take(SECOND, on_missing_source="use-last")
    unreached = {"source": f"folder {runs.photos}", "why": why, "photos_of": "2026-03-01"}
    assert second.details == {**first.details, "state": "", "unreached": unreached}
    assert (second.key, second.photos, second.new, second.reused) == (first.key, 12, 0, 12)


def test_when_the_folder_stays_away_the_photos_still_are_of_the_run_that_saw_them(runs: Runs) -> None:
    shutil.rmtree(runs.photos)
    runs.take(SECOND, on_missing_source="use-last")
    third = runs.take(THIRD, on_missing_source="use-last")
    assert third.details["unreached"]["photos_of"] == "2026-03-01"


def test_without_an_earlier_snapshot_a_run_without_its_folder_fails(runs: Runs) -> None:
    shutil.rmtree(runs.photos)
    with pytest.raises(DatasetError, match="There is no folder of photos at"):
        runs.take(FIRST - dt.timedelta(days=1), on_missing_source="use-last")


def test_a_folder_that_is_gone_still_has_its_name(runs: Runs) -> None:
    shutil.rmtree(runs.photos)
    found = find_dataset(str(runs.photos), 0, lambda name: last_known_dataset(runs.root, name))
    assert found == runs.dataset


@pytest.mark.parametrize("date", [FIRST, SECOND])
def test_a_run_with_half_the_photos_gone_fails_and_all_from_before_stays(runs: Runs, date: dt.date) -> None:
    before = runs.files()
    shutil.rmtree(runs.photos / "roses")
    with pytest.raises(DatasetError, match=r"6 of the 12 photos of 2026-03-01 are gone \('roses' 6\)"):
        runs.take(date)
    assert runs.files() == before


def test_the_next_run_is_compared_with_an_accepted_loss_and_one_of_an_earlier_date_with_none(runs: Runs) -> None:
    for number in range(3):
        (runs.photos / "roses" / f"{number}.jpg").unlink()
    assert runs.take(FIRST - dt.timedelta(days=1)).photos == 9
    runs.take(SECOND, max_shrink=0.25)
    assert runs.take(THIRD).photos == 9


def test_a_label_that_falls_below_three_photos_is_refused_by_name_and_nothing_is_published(runs: Runs) -> None:
    put_numbered(runs.photos, "asters", range(3))
    runs.take(SECOND)
    pointers = sorted(runs.root.snapshots(runs.dataset.name).glob("*.json"))
    (runs.photos / "asters" / "0.jpg").unlink()
    with pytest.raises(DatasetError, match=r"'asters' \(2\)"):
        runs.take(THIRD)
    assert sorted(runs.root.snapshots(runs.dataset.name).glob("*.json")) == pointers


def test_labels_are_new_and_gone_since_the_last_date_however_often_a_date_is_run(runs: Runs) -> None:
    assert runs.task(FIRST).manifest().details["label_changes"] == {"new": [], "gone": []}
    put_numbered(runs.photos, "asters", range(3))
    shutil.move(runs.photos / "tulips", runs.photos / "lilies")
    changes = {"new": ["asters", "lilies"], "gone": ["tulips"]}
    assert runs.take(SECOND).details["label_changes"] == changes
    put_numbered(runs.photos, "asters", range(3, 5))
    assert runs.take(SECOND).details["label_changes"] == changes
    assert runs.take(THIRD).details["label_changes"] == {"new": [], "gone": []}


def test_a_snapshot_whose_manifest_is_damaged_counts_as_absent(runs: Runs) -> None:
    runs.take(SECOND)
    runs.task(SECOND).manifest_path().write_text("{")
    shutil.rmtree(runs.photos)
    third = runs.take(THIRD, on_missing_source="use-last")
    assert third.details["unreached"]["photos_of"] == "2026-03-01"


def test_today_stands_while_the_folder_stays_away_and_no_longer_when_it_is_back(runs: Runs) -> None:
    today = dt.date.today()
    shutil.move(runs.photos, runs.photos.with_name("away"))
    assert source_state(runs.dataset) == ""
    runs.take(today, on_missing_source="use-last")

    def stands(date: dt.date, on_missing_source: str) -> bool:
        return runs.task(date, on_missing_source=on_missing_source).is_current("", own=False)

    assert stands(today, "use-last")
    assert not stands(today, "fail")
    shutil.move(runs.photos.with_name("away"), runs.photos)
    assert not stands(today, "use-last")
    assert stands(FIRST, "fail")


def test_corrections_are_part_of_the_state_and_their_counts_of_the_manifest(runs: Runs, tmp_path: Path) -> None:
    today, file = dt.date.today(), tmp_path / "corrections.csv"
    before = runs.take(today)
    file.write_text("path,label\nroses/1.jpg,tulips\nroses/9.jpg,tulips\n")
    assert not runs.task(today, corrections=str(file)).is_current(before.details["state"], own=False)
    after = runs.take(today, corrections=str(file))
    assert after.key != before.key
    assert (after.details["labels"], before.details["corrections"]) == ({"roses": 5, "tulips": 7}, None)
    assert after.details["corrections"]["unmatched"] == 1
    task = runs.task(today, corrections=str(file))
    assert task.is_current(after.details["state"], own=False)
    file.write_text("path,label\nroses/1.jpg,\n")
    assert not task.is_current(after.details["state"], own=False)
    file.unlink()
    assert not task.is_current(after.details["state"], own=False)


def test_excluded_photos_are_not_gone(runs: Runs, tmp_path: Path) -> None:
    file = tmp_path / "corrections.csv"
    file.write_text("path,label\n" + "".join(f"roses/{number}.jpg,\n" for number in range(3)))
    assert runs.take(SECOND, corrections=str(file), max_shrink=0.0).photos == 9


def test_a_changed_table_of_labels_makes_another_snapshot_on_the_same_day(runs: Runs, tmp_path: Path) -> None:
    today, table = dt.date.today(), tmp_path / "labels.csv"
    rows = [f"{label}/{number}.jpg,{label}" for label in ("roses", "tulips") for number in range(6)]
    table.write_text("\n".join(["path,label", *rows]))
    first = runs.take(today, labels=str(table))
    assert runs.task(today, labels=str(table)).complete()
    table.write_text("\n".join(["path,label", *rows[1:], "roses/0.jpg,tulips"]))
    context = RunContext(data_root=str(runs.root.path), run_id="another")
    again = TakeSnapshot(context=context, dataset=runs.dataset, date=today, labels=str(table))
    assert not again.complete()
    again.run()
    assert again.complete()
    assert again.manifest().key != first.key


def test_photos_that_lost_their_row_count_as_gone(runs: Runs) -> None:
    put(runs.photos, {"metadata.csv": b"file_name,label\nroses/0.jpg,roses\ntulips/0.jpg,tulips\n"})
    with pytest.raises(DatasetError, match=r"10 of the 12 photos of 2026-03-01 are gone"):
        runs.take(SECOND)
