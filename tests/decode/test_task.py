"""The decode stage as Luigi sees it: when it is done, and when another cap makes it undone."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.decode.settings import DecodeSettings
from tasks.decode.task import DecodePhotos
from tasks.progress import NullProgress
from tasks.run_context import RunContext
from tasks.shards.parquet import publish_parquet
from tasks.snapshot.photos import take_snapshot
from tasks.storage.layout import DataRoot
from tests.decode.drawing import encode, smooth

Make = Callable[[float], DecodePhotos]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A dataset of six small photos and one of 60,000 pixels; returns what makes the stage for a cap."""
    folder, root = tmp_path / "photos", DataRoot(tmp_path / "data")
    for label in ("roses", "tulips"):
        (folder / label).mkdir(parents=True)
        for number in range(3):
            (folder / label / f"{number}.png").write_bytes(encode(smooth(40 + number, 30 + len(label)), "PNG"))
    (folder / "roses" / "large.png").write_bytes(encode(smooth(300, 200), "PNG"))
    snapshot = take_snapshot(folder, None, NullProgress())
    publish_parquet(root.snapshot(snapshot.key), snapshot.table)

    def make(max_megapixels: float) -> DecodePhotos:
        return DecodePhotos(
            context=RunContext(
                data_root=str(root.path),
                snapshot=snapshot.key,
                photos=str(folder),
                max_rejected=0.5,
                max_megapixels=max_megapixels,
            ),
            settings=DecodeSettings(16, 16),
        )

    return make


def test_a_higher_cap_undoes_the_stage_where_a_photo_was_too_large_and_lets_it_in(make: Make) -> None:
    first = make(0.05)
    first.run()
    assert first.manifest().details["reasons"] == {"too_large": 1}
    assert first.complete()
    assert make(0.04).complete()
    higher = make(0.06)
    assert not higher.complete()
    higher.run()
    assert (higher.manifest().photos, higher.manifest().new, higher.manifest().details["missing"]) == (7, 1, 0)
    assert higher.complete()


def test_a_lower_cap_takes_no_picture_away(make: Make) -> None:
    make(100).run()
    assert make(0.05).complete()
    assert make(0.05).manifest().photos == 7
    make(0.05).run()
    assert make(0.05).manifest().photos == 7


def rewrite(stage: DecodePhotos, **details: object) -> None:
    """Change details of a manifest, or take away those of None."""
    values = json.loads(stage.manifest_path().read_text())
    values["details"] = {name: value for name, value in (values["details"] | details).items() if value is not None}
    stage.manifest_path().write_text(json.dumps(values))


def test_what_an_earlier_version_found_too_large_is_looked_at_again(make: Make) -> None:
    stage = make(0.05)
    stage.run()
    rewrite(stage, max_megapixels=None)
    assert not stage.complete()
    stage.run()
    assert stage.complete()


def test_what_an_earlier_version_called_damaged_is_looked_at_again(make: Make, tmp_path: Path) -> None:
    (tmp_path / "photos" / "roses" / "large.png").write_bytes(b"no photo")
    stage = make(100)
    stage.run()
    assert stage.complete()
    rewrite(stage, reasons={"damaged": 1}, rules=None)
    assert not stage.complete()
    rewrite(stage, reasons={"vanished": 1})
    assert stage.complete(), "of no rule"
