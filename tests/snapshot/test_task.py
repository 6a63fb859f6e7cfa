"""The snapshot task: what is published, and what stays as it was, where photos cannot be reached or are gone."""

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
from tasks.snapshot.task import TakeSnapshot, is_current, source_state
from tasks.storage.layout import DataRoot

FIRST, SECOND, THIRD = (dt.date(2026, 3, day) for day in (1, 2, 3))


class Nights:
    """A folder of twelve photos under two labels, and a data root; photos need no pictures in them here."""

    def __init__(self, folder: Path) -> None:
        self.photos, self.root = folder / "photos", DataRoot(folder / "data")
        self.add("roses", range(6))
        self.add("tulips", range(6))
        self.dataset = find_dataset(str(self.photos), 0)

    def add(self, label: str, numbers: range) -> None:
        """Put photos of these numbers there."""
        for number in numbers:
            photo = self.photos / label / f"{number}.jpg"
            photo.parent.mkdir(parents=True, exist_ok=True)
            photo.write_text(f"{label} {number}")

    def task(self, date: dt.date, **options: Any) -> TakeSnapshot:
        """The task of a date."""
        return TakeSnapshot(
            context=RunContext(data_root=str(self.root.path), run_id=f"{date}"),
            dataset=self.dataset,
            date=date,
            **options,
        )

    def take(self, date: dt.date, **options: Any) -> Manifest:
        """Take the snapshot of a date."""
        task = self.task(date, **options)
        task.run()
        return task.manifest()

    def files(self) -> dict[Path, bytes]:
        """All that is published."""
        return {path: path.read_bytes() for path in self.root.path.rglob("*") if path.is_file()}


@pytest.fixture
def nights(tmp_path: Path) -> Nights:
    """A first night has been."""
    nights = Nights(tmp_path)
    nights.take(FIRST)
    return nights


def gone(photos: Path) -> None:
    shutil.rmtree(photos)


def empty(photos: Path) -> None:
    gone(photos)
    (photos / "roses").mkdir(parents=True)


def without_photos(photos: Path) -> None:
    gone(photos)
    (photos / "lost+found").mkdir(parents=True)
    (photos / "lost+found" / "README.txt").write_text("a mount point")


def no_folder(photos: Path) -> None:
    gone(photos)
    photos.write_text("a file")


AWAY = pytest.mark.parametrize(
    ("take_away", "why"),
    [
        (gone, "No such file or directory"),
        (empty, "it holds no photo that can be read"),
        (without_photos, "it holds no photo that can be read"),
        (no_folder, "Not a directory"),
    ],
)


@AWAY
def test_a_folder_that_is_away_fails_the_night_and_all_from_before_stays(
    nights: Nights, take_away: Callable[[Path], None], why: str
) -> None:
    before = nights.files()
    take_away(nights.photos)
    with pytest.raises(DatasetError) as caught:
        nights.take(SECOND)
    said = str(caught.value)
    assert f"The folder {nights.photos} could not be reached ({why})" in said
    assert "with the photos of 2026-03-01: --on-missing-source use-last" in said
    assert nights.files() == before


@AWAY
def test_a_night_may_go_on_with_the_last_snapshot_and_says_so(
    nights: Nights, take_away: Callable[[Path], None], why: str
) -> None:
    first = nights.task(FIRST).manifest()
    take_away(nights.photos)
    second = nights.take(SECOND, on_missing_source="use-last")
    told = {"source": f"folder {nights.photos}", "why": why, "photos_of": "2026-03-01"}
    assert second.details == {**first.details, "state": "", "unreached": told}
    assert (second.key, second.photos, second.new, second.reused) == (first.key, 12, 0, 12)


def test_when_the_folder_stays_away_the_photos_still_are_of_the_night_that_saw_them(nights: Nights) -> None:
    gone(nights.photos)
    nights.take(SECOND, on_missing_source="use-last")
    third = nights.take(THIRD, on_missing_source="use-last")
    assert third.details["unreached"]["photos_of"] == "2026-03-01"


def test_a_folder_that_is_away_on_the_first_night_fails_as_ever(tmp_path: Path) -> None:
    nights = Nights(tmp_path)
    gone(nights.photos)
    with pytest.raises(DatasetError, match="There is no folder of photos at"):
        nights.take(FIRST, on_missing_source="use-last")


def test_a_snapshot_of_a_later_date_is_none_to_go_on_with(nights: Nights) -> None:
    gone(nights.photos)
    with pytest.raises(DatasetError, match="There is no folder of photos at"):
        nights.take(FIRST - dt.timedelta(days=1), on_missing_source="use-last")


def test_a_folder_that_is_gone_still_has_its_name(nights: Nights) -> None:
    gone(nights.photos)
    found = find_dataset(str(nights.photos), 0, lambda name: last_known_dataset(nights.root, name))
    assert found == nights.dataset


def test_half_the_photos_gone_refuses_the_night_and_all_from_before_stays(nights: Nights) -> None:
    before = nights.files()
    gone(nights.photos / "roses")
    with pytest.raises(DatasetError, match=r"6 of the 12 photos of 2026-03-01 are gone \('roses' 6\)"):
        nights.take(SECOND)
    assert nights.files() == before


def test_half_the_photos_gone_on_the_same_date_leaves_what_the_morning_took(nights: Nights) -> None:
    before = nights.files()
    gone(nights.photos / "roses")
    with pytest.raises(DatasetError, match="6 of the 12 photos"):
        nights.take(FIRST)
    assert nights.files() == before


def test_a_loss_that_was_accepted_is_what_the_next_night_is_compared_with(nights: Nights) -> None:
    for number in range(3):
        (nights.photos / "roses" / f"{number}.jpg").unlink()
    nights.take(SECOND, max_shrink=0.25)
    assert nights.take(THIRD).photos == 9


def test_a_night_before_all_others_is_compared_with_none(nights: Nights) -> None:
    for number in range(3):
        (nights.photos / "roses" / f"{number}.jpg").unlink()
    assert nights.take(FIRST - dt.timedelta(days=1)).photos == 9


def test_a_label_that_falls_below_three_photos_is_refused_by_name_and_nothing_is_published(nights: Nights) -> None:
    nights.add("asters", range(3))
    nights.take(SECOND)
    pointers = sorted(nights.root.snapshots(nights.dataset.name).glob("*.json"))
    (nights.photos / "asters" / "0.jpg").unlink()
    with pytest.raises(DatasetError, match=r"'asters' \(2\)"):
        nights.take(THIRD)
    assert sorted(nights.root.snapshots(nights.dataset.name).glob("*.json")) == pointers


def test_labels_that_came_and_went_since_the_last_night_are_told_however_often_it_is_run(nights: Nights) -> None:
    assert nights.task(FIRST).manifest().details["label_changes"] == {"new": [], "gone": []}
    nights.add("asters", range(3))
    shutil.move(nights.photos / "tulips", nights.photos / "lilies")
    changes = {"new": ["asters", "lilies"], "gone": ["tulips"]}
    assert nights.take(SECOND).details["label_changes"] == changes
    nights.add("asters", range(3, 5))
    assert nights.take(SECOND).details["label_changes"] == changes
    assert nights.take(THIRD).details["label_changes"] == {"new": [], "gone": []}


def test_a_snapshot_whose_manifest_is_damaged_counts_as_absent(nights: Nights) -> None:
    nights.take(SECOND)
    nights.task(SECOND).manifest_path().write_text("{")
    gone(nights.photos)
    third = nights.take(THIRD, on_missing_source="use-last")
    assert third.details["unreached"]["photos_of"] == "2026-03-01"


def test_today_stands_while_the_folder_stays_away_and_no_longer_when_it_is_back(nights: Nights) -> None:
    today = dt.date.today()
    shutil.move(nights.photos, nights.photos.with_name("away"))
    assert source_state(nights.dataset) == ""
    nights.take(today, on_missing_source="use-last")

    def stands(date: dt.date, on_missing_source: str) -> bool:
        return is_current(date, False, "", nights.dataset, on_missing_source)

    assert stands(today, "use-last")
    assert not stands(today, "fail")
    shutil.move(nights.photos.with_name("away"), nights.photos)
    assert not stands(today, "use-last")
    assert stands(FIRST, "fail")
