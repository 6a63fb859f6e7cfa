"""Hashing: which files are read, which hashes are recalled, and which are not to be trusted."""

import hashlib
import logging
import os
from pathlib import Path

import pyarrow as pa
import pytest

from tasks.progress import NullProgress
from tasks.shards.parquet import publish_parquet
from tasks.snapshot.hashes import HASHES, RACY_NS, drop_hashes, drop_racy, hash_files, read_hashes
from tasks.snapshot.listing import PhotoFile
from tasks.snapshot.walk import list_files
from tests.snapshot.photo_files import put
from tests.support.progress import Tally


def known(*rows: tuple[str, int, str, str]) -> pa.Table:
    return pa.table([list(column) for column in zip(*rows, strict=True)], schema=HASHES)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """150 photos, more than the unit of work of a thread, all of the same mtime."""
    put(tmp_path, {f"label {number % 3}/{number:03}.jpg": b"photo %03d" % number for number in range(150)})
    for path in tmp_path.rglob("*.jpg"):
        os.utime(path, ns=(5, 5))
    return tmp_path


def test_each_file_gets_the_sha256_of_its_bytes_in_the_order_given(root: Path) -> None:
    files = list_files(root).files
    hashed = hash_files(root, files, None, NullProgress())
    hashes = [hashlib.sha256((root / file.path).read_bytes()).hexdigest() for file in files]
    assert hashed.table == known(*((file.path, 9, file.version, key) for file, key in zip(files, hashes, strict=True)))
    assert (hashed.read, hashed.unreadable) == (150, ())


@pytest.mark.parametrize(
    ("row", "read"),
    [
        (("label 0/000.jpg", 9, "5"), 0),
        (("label 0/000.jpg", 8, "5"), 1),
        (("label 0/000.jpg", 9, "4"), 1),
        (("label 0/003.jpg", 9, "5"), 1),
    ],
)
def test_a_file_is_read_unless_its_path_size_and_version_are_known(
    root: Path, row: tuple[str, int, str], read: int
) -> None:
    hashed = hash_files(root, [PhotoFile("label 0/000.jpg", 9, "5")], known((*row, "ab" * 32)), NullProgress())
    assert hashed.table["sha256"].to_pylist() == [hashlib.sha256(b"photo 000").hexdigest() if read else "ab" * 32]
    assert hashed.read == read


def test_progress_counts_the_files_that_are_read_and_does_not_start_without_any(root: Path) -> None:
    files, progress = list_files(root).files, Tally()
    recalled = hash_files(root, files[:50], None, NullProgress()).table
    hash_files(root, files[:50], recalled, progress)
    assert progress.total == -1
    hash_files(root, files, recalled, progress)
    assert (progress.total, progress.unit, progress.done) == (100, "photo", 100)


def test_a_file_that_vanished_since_the_walk_is_left_out_silently(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = list_files(root).files
    (root / files[7].path).unlink()
    hashed = hash_files(root, files, None, NullProgress())
    assert hashed.table["path"].to_pylist() == [file.path for file in files[:7] + files[8:]]
    assert (hashed.read, hashed.unreadable, caplog.records) == (149, (), [])


def test_a_file_that_cannot_be_read_is_left_out_counted_and_logged(
    root: Path, unreadable_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(12):
        (root / "label 0" / f"z{number:02}.jpg").symlink_to(unreadable_file)
    hashed = hash_files(root, list_files(root).files, None, NullProgress())
    assert (hashed.table.num_rows, hashed.read, len(hashed.unreadable)) == (150, 150, 12)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "label 0/z00.jpg (Input/output error)" in record.getMessage()
    assert "and 2 more" in record.getMessage()


def test_only_files_changed_well_before_the_moment_of_reading_are_recalled() -> None:
    moment = 10 * RACY_NS
    changed = {
        "old": moment - RACY_NS - 1,
        "before 1677": -(2**64),
        "object": None,
        "close": moment - RACY_NS,
        "meanwhile": moment + 1,
        "after 2262": 2**64,
    }
    files = [PhotoFile(path, 1, "5", changed_ns) for path, changed_ns in changed.items()]
    hashes = known(*((file.path, 1, "5", "aa") for file in files))
    assert drop_racy(hashes, files, moment)["path"].to_pylist() == ["old", "before 1677", "object"]


def test_published_hashes_are_read_again_without_the_dropped_ones(tmp_path: Path) -> None:
    path = tmp_path / "stage=x" / "hashes.parquet"
    publish_parquet(path, known(("a.jpg", 1, "5", "aa"), ("b.jpg", 1, "5", "bb")))
    drop_hashes(path, ["a.jpg", "c.jpg"])
    assert read_hashes(path) == known(("b.jpg", 1, "5", "bb"))


def test_hashes_that_are_missing_damaged_or_of_an_earlier_version_are_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    path = tmp_path / "hashes.parquet"
    assert read_hashes(path) is None
    drop_hashes(path, ["a.jpg"])
    assert (list(tmp_path.iterdir()), caplog.records) == ([], [])
    for data in (b"", b"PAR1 damaged PAR1"):
        path.write_bytes(data)
        assert read_hashes(path) is None
    publish_parquet(path, pa.table({"path": ["a"], "bytes": [1], "mtime_ns": [5], "sha256": ["b"]}))
    assert read_hashes(path) is None
    assert [record.levelno for record in caplog.records] == [logging.WARNING, logging.WARNING, logging.INFO]
    assert [word in caplog.messages[place] for place, word in ((0, "damaged"), (2, "another version"))] == [True, True]
