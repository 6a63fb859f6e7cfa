"""The decode stage as Luigi sees it: when it is done, when another cap makes it undone, and files that changed.

Changed files look as they did, as on a file system that keeps neither ctimes nor inodes: the next run reads them again.
"""

import datetime as dt
import json
from pathlib import Path
from typing import Any

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

TODAY, PAST = dt.date.today(), dt.date(2026, 3, 1)
WHERE = pytest.mark.parametrize("where", ["disk", "store"])
WHEN = pytest.mark.parametrize("date", [TODAY, PAST])


def bitmap(seed: int, width: int = 20) -> bytes:
    """A photo; all of the same width have as many bytes."""
    return encode(Image.fromarray(noise(width, 20, seed)), "BMP")


class Runs:
    """Four photos of each of two labels, their snapshots, and the decode stage."""

    def __init__(self, folder: AnyPath, root: Path) -> None:
        labels = ("roses", "tulips")
        put(folder, {f"{label}/{n}.bmp": bitmap(n + len(label) * 9) for label in labels for n in range(4)})
        self.folder, self.root = folder, DataRoot(root)
        self.dataset = find_dataset(str(folder), 0)

    def snapshot(self, date: dt.date, run: str) -> TakeSnapshot:
        """The snapshot's task of a run."""
        context = RunContext(data_root=str(self.root.path), run_id=run)
        return TakeSnapshot(context=context, dataset=self.dataset, date=date)

    def take(self, date: dt.date, run: str) -> Manifest:
        """Take the snapshot, unless there is one."""
        task = self.snapshot(date, run)
        if not task.complete():
            with recalling_new_files():
                task.run()
        return task.manifest()

    def stage(
        self, date: dt.date, run: str, size: int = 8, max_rejected: float = 0.5, cap: float = 100
    ) -> DecodePhotos:
        """Take the snapshot; returns the task that decodes its photos."""
        context = RunContext(
            data_root=str(self.root.path),
            run_id=run,
            snapshot=self.take(date, run).key,
            photos=str(self.folder),
            pointer=str(self.snapshot(date, run).manifest_path()),
            max_rejected=max_rejected,
            max_megapixels=cap,
        )
        return DecodePhotos(context=context, settings=DecodeSettings(size, size))

    def decode(self, date: dt.date, run: str, **options: Any) -> Manifest:
        """Take the snapshot and decode its photos, with the options of `stage`."""
        task = self.stage(date, run, **options)
        task.run()
        return task.manifest()

    def known(self) -> set[str]:
        """Paths of the files whose hashes are known."""
        hashes = read_hashes(self.snapshot(PAST, "any").manifest_path().with_name("hashes.parquet"))
        return set() if hashes is None else set(hashes["path"].to_pylist())


@pytest.fixture
def where() -> str:
    return "disk"


@pytest.fixture
def runs(where: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Runs:
    """Photos that all have the same version, whatever is in them."""
    monkeypatch.setattr("tasks.snapshot.walk.file_version", lambda _: "as ever")
    monkeypatch.setattr("tasks.storage.remote_listing._version", lambda _: "as ever")
    if where == "store":
        return Runs(to_path(request.getfixturevalue("object_store").url("photos")), tmp_path / "data")
    return Runs(tmp_path / "photos", tmp_path / "data")


def rewrite(stage: DecodePhotos, **details: object) -> None:
    """Change details of a manifest, or take away those of None."""
    values = json.loads(stage.manifest_path().read_text())
    values["details"] = {name: value for name, value in (values["details"] | details).items() if value is not None}
    stage.manifest_path().write_text(json.dumps(values))


def test_a_higher_cap_undoes_the_stage_where_a_photo_was_too_large_and_lets_it_in(runs: Runs) -> None:
    put(runs.folder, {"roses/large.bmp": bitmap(99, width=3000)})
    assert runs.decode(PAST, "first", cap=0.05).details["reasons"] == {"too_large": 1}
    assert runs.stage(PAST, "second", cap=0.05).complete()
    assert runs.stage(PAST, "second", cap=0.04).complete()
    assert not runs.stage(PAST, "second", cap=0.06).complete()
    higher = runs.decode(PAST, "second", cap=0.06)
    assert (higher.photos, higher.new, higher.details["missing"]) == (9, 1, 0)
    lower = runs.stage(PAST, "third", cap=0.05)
    assert lower.complete(), "a lower cap takes no picture away"
    assert runs.decode(PAST, "third", cap=0.05).photos == 9


def test_what_an_earlier_version_found_too_large_is_looked_at_again(runs: Runs) -> None:
    put(runs.folder, {"roses/large.bmp": bitmap(99, width=3000)})
    runs.decode(PAST, "first", cap=0.05)
    stage = runs.stage(PAST, "first", cap=0.05)
    rewrite(stage, max_megapixels=None)
    assert not stage.complete()
    stage.run()
    assert stage.complete()


def test_what_an_earlier_version_called_damaged_is_looked_at_again(runs: Runs) -> None:
    put(runs.folder, {"roses/note.bmp": b"no photo"})
    runs.decode(PAST, "first")
    stage = runs.stage(PAST, "first")
    assert stage.complete()
    rewrite(stage, reasons={"damaged": 1}, rules=None)
    assert not stage.complete()
    rewrite(stage, reasons={"vanished": 1})
    assert stage.complete(), "of no rule"


@WHERE
@WHEN
def test_a_photo_that_changed_unseen_is_left_out_once_and_used_in_the_next_run(runs: Runs, date: dt.date) -> None:
    before = runs.decode(date, "first")
    put(runs.folder, {"roses/0.bmp": bitmap(99)})
    assert runs.snapshot(date, "second").complete(), "nothing is to be seen"
    second = runs.decode(date, "second", size=9)
    assert (second.snapshot, second.details["reasons"]) == (before.snapshot, {"changed": 1})
    assert "roses/0.bmp" not in runs.known()
    assert len(runs.known()) == 7
    third = runs.decode(date, "third", size=9)
    assert third.snapshot != before.snapshot
    assert (third.details["reasons"], third.photos, third.new) == ({}, 8, 1)
    assert runs.snapshot(date, "fourth").complete()


def test_a_run_that_fails_over_changed_photos_is_followed_by_one_that_does_not(runs: Runs) -> None:
    runs.decode(TODAY, "first")
    put(runs.folder, {f"roses/{number}.bmp": bitmap(90 + number) for number in range(3)})
    with pytest.raises(DatasetError, match="changed 3") as caught:
        runs.decode(TODAY, "second", size=9, max_rejected=0.05)
    assert "roses/0.bmp: The file was changed after the snapshot. Run again for today" in str(caught.value)
    assert runs.decode(TODAY, "third", size=9, max_rejected=0.05).photos == 8


def test_the_run_that_took_the_snapshot_goes_on_with_it(runs: Runs) -> None:
    runs.take(TODAY, "first")
    put(runs.folder, {"roses/0.bmp": bitmap(99)})
    runs.decode(TODAY, "first")
    assert runs.snapshot(TODAY, "first").complete()
    assert not runs.snapshot(TODAY, "second").complete()


def test_a_past_date_that_was_trained_on_keeps_its_snapshot(runs: Runs) -> None:
    before = runs.decode(PAST, "first")
    publish_json(runs.root.runs(runs.dataset.name) / f"{PAST}-0123abcd.json", {})
    put(runs.folder, {"roses/0.bmp": bitmap(99)})
    runs.decode(PAST, "second", size=9)
    assert runs.decode(PAST, "third", size=9).snapshot == before.snapshot
    today = runs.decode(TODAY, "third", size=9)
    assert today.snapshot != before.snapshot
    assert today.photos == 8


def test_a_photo_that_vanished_has_the_snapshot_taken_again_and_is_recalled_when_it_is_back(
    runs: Runs, tmp_path: Path
) -> None:
    runs.take(PAST, "first")
    photo, away = Path(f"{runs.folder}/roses/0.bmp"), tmp_path / "away"
    photo.rename(away)
    assert runs.decode(PAST, "first").details["reasons"] == {"vanished": 1}
    away.rename(photo)
    assert not runs.snapshot(PAST, "second").complete()
    assert (runs.take(PAST, "second").new, runs.decode(PAST, "second", size=9).photos) == (0, 8)
