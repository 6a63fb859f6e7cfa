"""A clock that jumps back, and photos and runs that come from the future."""

import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.progress import NullProgress
from tasks.run_context import RunContext
from tasks.shards.manifests import read_manifest
from tasks.shards.parquet import publish_parquet
from tasks.snapshot.hashes import read_hashes
from tasks.snapshot.photos import take_snapshot
from tests.machine.test_damaged_files import WriteRows
from tests.pipeline.command import draw
from tests.snapshot.aging import recalling_new_files

HOUR_NS = 3_600_000_000_000
YEAR_NS = 365 * 24 * HOUR_NS


@pytest.fixture
def jumping(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each look at the clock be an hour before the last one."""
    now = itertools.count(time.time_ns(), -HOUR_NS)
    monkeypatch.setattr(time, "time_ns", lambda: next(now))
    monkeypatch.setattr(time, "time", lambda: next(now) / 1e9)


@pytest.fixture
def photos(tmp_path: Path) -> Iterator[Path]:
    """Six photos of a year ago."""
    draw(tmp_path / "photos", range(6))
    for photo in (tmp_path / "photos").rglob("*.jpg"):
        os.utime(photo, ns=(time.time_ns() - YEAR_NS,) * 2)
    with recalling_new_files():
        yield tmp_path / "photos"


@pytest.mark.usefixtures("jumping")
def test_a_stage_never_takes_less_than_no_time(tmp_path: Path) -> None:
    task = WriteRows(context=RunContext(data_root=str(tmp_path)))
    task.run()
    assert 0 <= read_manifest(task.manifest_path()).seconds < 60


@pytest.mark.usefixtures("jumping")
def test_photos_that_are_known_stay_known_and_a_snapshot_keeps_its_key(photos: Path, tmp_path: Path) -> None:
    first = take_snapshot(photos, None, NullProgress())
    publish_parquet(tmp_path / "hashes.parquet", first.hashes)
    again = take_snapshot(photos, read_hashes(tmp_path / "hashes.parquet"), NullProgress())
    assert (again.key, again.state) == (first.key, first.state)
    assert (first.hashed, again.hashed) == (6, 0)


def test_a_photo_from_the_future_is_read_each_time_since_its_mtime_proves_nothing(photos: Path, tmp_path: Path) -> None:
    future = next(photos.rglob("*.jpg"))
    os.utime(future, ns=(time.time_ns() + YEAR_NS,) * 2)
    first = take_snapshot(photos, None, NullProgress())
    publish_parquet(tmp_path / "hashes.parquet", first.hashes)
    again = take_snapshot(photos, read_hashes(tmp_path / "hashes.parquet"), NullProgress())
    assert (again.key, first.hashed, again.hashed) == (first.key, 6, 1)
