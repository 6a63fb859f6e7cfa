"""A damaged file is moved aside, and the manifests that name it are removed."""

import errno
import re
from pathlib import Path

import pytest

from tasks.errors import StoreError
from tasks.shards.manifests import Manifest
from tasks.shards.quarantine import quarantine
from tasks.storage.errors import DamagedError


def publish_manifest(path: Path, key: str = "cafe", shards: tuple[str, ...] = ()) -> Path:
    Manifest(key, "beef", {}, 3, 3, 0, shards, stage="count", run="by hand", seconds=0.1).publish(path)
    return path


def damage(path: Path, data: bytes = b"half of") -> DamagedError:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return DamagedError(path, f"{path} is damaged.")


def test_a_shard_is_moved_and_the_manifests_that_name_it_are_removed(tmp_path: Path) -> None:
    damaged = damage(tmp_path / "part-1.parquet")
    naming = publish_manifest(tmp_path / "manifests" / "one.json", shards=("part-0.parquet", "part-1.parquet"))
    other = publish_manifest(tmp_path / "manifests" / "other.json", shards=("part-0.parquet",))
    message = quarantine(damaged)
    place = tmp_path / "damaged" / "part-1.parquet"
    assert message == f"{damaged.path} is damaged. It is now {place}, and is made again."
    assert place.read_bytes() == b"half of"
    assert (damaged.path.exists(), naming.exists(), other.exists()) == (False, False, True)


def test_a_file_that_is_damaged_again_stays_with_the_advice_to_check_the_disk(tmp_path: Path) -> None:
    quarantine(damage(tmp_path / "part-1.parquet"))
    again = damage(tmp_path / "part-1.parquet", b"another half")
    naming = publish_manifest(tmp_path / "manifests" / "one.json", shards=("part-1.parquet",))
    place = tmp_path / "damaged" / "part-1.parquet"
    with pytest.raises(StoreError, match=re.escape(f"Check the disk; then delete {place}, and run again.")) as caught:
        quarantine(again)
    assert not isinstance(caught.value, DamagedError)
    assert (again.path.read_bytes(), place.read_bytes()) == (b"another half", b"half of")
    assert naming.exists()


def test_a_missing_shard_is_made_again_only_if_a_manifest_names_it(tmp_path: Path) -> None:
    gone = DamagedError(tmp_path / "part-1.parquet", "It is gone.")
    naming = publish_manifest(tmp_path / "manifests" / "one.json", shards=("part-1.parquet",))
    assert quarantine(gone) == f"{gone.path} is gone, and is made again."
    assert not naming.exists()
    assert not (tmp_path / "damaged").exists()
    with pytest.raises(DamagedError) as caught:
        quarantine(gone)
    assert caught.value is gone


@pytest.mark.parametrize(
    ("file", "manifest"),
    [
        ("cafe/predictions.parquet", "cafe/manifest.json"),
        ("cafe.parquet", "flowers/2026-01-31.json"),
        # The store of rejected photos has its manifests above it.
        ("rejected/part-1.parquet", "manifests/one.json"),
    ],
)
def test_a_manifest_that_is_wrong_without_the_file_is_removed(tmp_path: Path, file: str, manifest: str) -> None:
    damaged = damage(tmp_path / file)
    wrong = publish_manifest(tmp_path / manifest)
    other = publish_manifest(tmp_path / "flowers" / "2026-01-30.json", key="f00d")
    quarantine(damaged)
    assert (wrong.exists(), other.exists()) == (False, True)


def test_a_folder_is_moved_as_a_whole_and_the_cause_reported(tmp_path: Path) -> None:
    file = damage(tmp_path / "checkpoints" / "head-5.index").path
    damaged = DamagedError(file.parent, "The checkpoint is damaged.")
    damaged.__cause__ = ValueError("CRC checksum verification failed")
    assert quarantine(damaged).startswith(f"{file.parent} is damaged (CRC checksum verification failed). It is now ")
    assert (tmp_path / "damaged" / "checkpoints" / "head-5.index").read_bytes() == b"half of"
    assert not file.parent.exists()


def test_a_file_that_a_broken_disk_cannot_read_stays(tmp_path: Path) -> None:
    damaged = damage(tmp_path / "part-1.parquet")
    damaged.__cause__ = OSError(errno.EIO, "Input/output error")
    with pytest.raises(DamagedError) as caught:
        quarantine(damaged)
    assert caught.value is damaged
    assert damaged.path.exists()
