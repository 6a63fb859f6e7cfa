"""Photos whose files turn out, when they are decoded, not to be those of the snapshot: the next run reads them again.

Most of these files look as they did, as on a file system that keeps neither ctimes nor inodes.
"""

import datetime as dt
from pathlib import Path

import pytest
from PIL import Image

from tasks.catalog import find_dataset
from tasks.decode.settings import DecodeSettings
from tasks.decode.task import DecodePhotos
from tasks.errors import DatasetError
from tasks.paths import AnyPath, to_path
from tasks.run_context import RunContext
from tasks.shards.manifests import Manifest
from tasks.snapshot.hashes import read_hashes
from tasks.snapshot.task import TakeSnapshot
from tasks.storage.files import publish_json
from tasks.storage.layout import DataRoot
from tests.decode.drawing import encode, noise
from tests.snapshot.aging import recalling_new_files
from tests.snapshot.photo_files import put
from tests.support.servers.object_store import ObjectStore

TODAY, PAST = dt.date.today(), dt.date(2026, 3, 1)
WHERE = pytest.mark.parametrize("where", ["disk", "store"])
WHEN = pytest.mark.parametrize("date", [TODAY, PAST])


def bitmap(seed: int) -> bytes:
    """A photo; all of them have as many bytes."""
    return encode(Image.fromarray(noise(20, 20, seed)), "BMP")


class Night:
    """Four photos of each of two labels, their snapshot, and the decode stage."""

    def __init__(self, folder: AnyPath, root: Path) -> None:
        labels = ("roses", "tulips")
        put(folder, {f"{label}/{n}.bmp": bitmap(n + len(label) * 9) for label in labels for n in range(4)})
        self.folder, self.root = folder, DataRoot(root)
        self.dataset = find_dataset(str(folder), 0)

    def task(self, date: dt.date, run: str) -> TakeSnapshot:
        """The snapshot's task of a run."""
        return TakeSnapshot(
            context=RunContext(data_root=str(self.root.path), run_id=run), dataset=self.dataset, date=date
        )

    def take(self, date: dt.date, run: str) -> Manifest:
        """Take the snapshot, unless there is one."""
        task = self.task(date, run)
        if not task.complete():
            with recalling_new_files():
                task.run()
        return task.manifest()

    def decode(self, date: dt.date, run: str, size: int = 8, max_rejected: float = 0.5) -> Manifest:
        """Take the snapshot and decode its photos."""
        task = DecodePhotos(
            context=RunContext(
                data_root=str(self.root.path),
                run_id=run,
                snapshot=self.take(date, run).key,
                photos=str(self.folder),
                pointer=str(self.task(date, run).manifest_path()),
                max_rejected=max_rejected,
                max_megapixels=100,
            ),
            settings=DecodeSettings(size, size),
        )
        task.run()
        return task.manifest()

    def known(self) -> set[str]:
        """Paths of the files whose hashes are known."""
        hashes = read_hashes(self.task(PAST, "any").manifest_path().with_name("hashes.parquet"))
        return set() if hashes is None else set(hashes["path"].to_pylist())


@pytest.fixture
def night(where: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Night:
    """Photos that all have the same version, whatever is in them."""
    monkeypatch.setattr("tasks.snapshot.walk.file_version", lambda _: "as ever")
    monkeypatch.setattr("tasks.storage.remote_listing._version", lambda _: "as ever")
    if where == "store":
        store: ObjectStore = request.getfixturevalue("object_store")
        return Night(to_path(store.url("photos")), tmp_path / "data")
    return Night(tmp_path / "photos", tmp_path / "data")


@WHERE
@WHEN
def test_a_photo_that_changed_unseen_is_left_out_once_and_used_in_the_next_run(night: Night, date: dt.date) -> None:
    before = night.decode(date, "first")
    put(night.folder, {"roses/0.bmp": bitmap(99)})
    assert night.task(date, "second").complete(), "nothing is to be seen"
    second = night.decode(date, "second", size=9)
    assert (second.snapshot, second.details["reasons"]) == (before.snapshot, {"changed": 1})
    assert "roses/0.bmp" not in night.known()
    assert len(night.known()) == 7
    third = night.decode(date, "third", size=9)
    assert third.snapshot != before.snapshot
    assert (third.details["reasons"], third.photos, third.new) == ({}, 8, 1)
    assert night.task(date, "fourth").complete()


@WHERE
@WHEN
def test_a_run_that_fails_over_changed_photos_is_followed_by_one_that_does_not(night: Night, date: dt.date) -> None:
    night.decode(date, "first")
    put(night.folder, {f"roses/{number}.bmp": bitmap(90 + number) for number in range(3)})
    with pytest.raises(DatasetError, match="changed 3") as caught:
        night.decode(date, "second", size=9, max_rejected=0.05)
    assert "roses/0.bmp: The file was changed after the snapshot. Run again for today" in str(caught.value)
    assert night.decode(date, "third", size=9, max_rejected=0.05).photos == 8


@pytest.mark.parametrize("where", ["disk"])
def test_the_run_that_took_the_snapshot_goes_on_with_it(night: Night) -> None:
    night.take(TODAY, "first")
    put(night.folder, {"roses/0.bmp": bitmap(99)})
    night.decode(TODAY, "first")
    assert night.task(TODAY, "first").complete()
    assert not night.task(TODAY, "second").complete()


@pytest.mark.parametrize("where", ["disk"])
def test_a_past_date_that_was_trained_on_keeps_its_snapshot(night: Night) -> None:
    before = night.decode(PAST, "first")
    publish_json(night.root.runs(night.dataset.name) / f"{PAST}-0123abcd.json", {})
    put(night.folder, {"roses/0.bmp": bitmap(99)})
    night.decode(PAST, "second", size=9)
    assert night.decode(PAST, "third", size=9).snapshot == before.snapshot
    today = night.decode(TODAY, "third", size=9)
    assert today.snapshot != before.snapshot
    assert today.photos == 8


@pytest.mark.parametrize("where", ["disk"])
def test_a_photo_that_vanished_has_the_snapshot_taken_again_and_is_recalled_when_it_is_back(
    night: Night, tmp_path: Path
) -> None:
    night.take(PAST, "first")
    photo, away = Path(f"{night.folder}/roses/0.bmp"), tmp_path / "away"
    photo.rename(away)
    assert night.decode(PAST, "first").details["reasons"] == {"vanished": 1}
    away.rename(photo)
    assert not night.task(PAST, "second").complete()
    assert (night.take(PAST, "second").new, night.decode(PAST, "second", size=9).photos) == (0, 8)
