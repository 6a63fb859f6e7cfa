"""Hashing: what is read, what is recalled, and what is not to be trusted."""

import hashlib
import logging
import os
from pathlib import Path

import pyarrow as pa
import pytest

from tasks.keys import file_sha256
from tasks.progress import NullProgress
from tasks.shards.parquet import publish_parquet
from tasks.snapshot.hashes import HASHES, RACY_NS, drop_hashes, drop_racy, hash_files, read_hashes
from tasks.snapshot.listing import PhotoFile
from tasks.snapshot.walk import list_files
from tests.support.progress import Tally


class Interrupt(NullProgress):
    """Progress whose user presses Ctrl-C at the first report."""

    def advance(self, count: int) -> None:
        """Raise what Ctrl-C raises."""
        raise KeyboardInterrupt(count)


def known(*rows: tuple[str, int, str, str]) -> pa.Table:
    return pa.table([list(column) for column in zip(*rows, strict=True)], schema=HASHES)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """150 photos, more than a thread takes at once, all of the same mtime."""
    for number in range(150):
        path = tmp_path / f"label {number % 3}" / f"{number:03}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"photo %03d" % number)
        os.utime(path, ns=(5, 5))
    return tmp_path


def test_each_file_gets_the_sha256_of_its_bytes_in_the_order_given(root: Path) -> None:
    files = list_files(root).files
    hashed = hash_files(root, files, None, NullProgress())
    assert hashed.table.schema == HASHES
    assert hashed.table.to_pylist() == [
        {
            "path": file.path,
            "bytes": 9,
            "version": file.version,
            "sha256": hashlib.sha256((root / file.path).read_bytes()).hexdigest(),
        }
        for file in files
    ]
    assert (hashed.read, len(hashed.unreadable)) == (150, 0)


def test_a_file_of_known_size_and_version_is_not_read(root: Path) -> None:
    hashed = hash_files(root, [PhotoFile("gone.jpg", 9, "5")], known(("gone.jpg", 9, "5", "ab" * 32)), NullProgress())
    assert hashed.table["sha256"].to_pylist() == ["ab" * 32]
    assert hashed.read == 0


@pytest.mark.parametrize("row", [("label 0/000.jpg", 8, "5"), ("label 0/000.jpg", 9, "4"), ("label 0/003.jpg", 9, "5")])
def test_a_file_of_another_size_version_or_path_is_read(root: Path, row: tuple[str, int, str]) -> None:
    hashed = hash_files(root, [PhotoFile("label 0/000.jpg", 9, "5")], known((*row, "ab" * 32)), NullProgress())
    assert hashed.table["sha256"].to_pylist() == [hashlib.sha256(b"photo 000").hexdigest()]
    assert hashed.read == 1


def test_progress_counts_the_files_that_are_read_and_no_others(root: Path) -> None:
    files, progress = list_files(root).files, Tally()
    recalled = hash_files(root, files[:50], None, NullProgress()).table
    hash_files(root, files, recalled, progress)
    assert (progress.total, progress.unit, progress.done) == (100, "photo", 100)


def test_progress_does_not_start_where_nothing_is_to_be_read(root: Path) -> None:
    files, progress = list_files(root).files, Tally()
    hash_files(root, files, hash_files(root, files, None, NullProgress()).table, progress)
    assert progress.total == -1


def test_a_file_that_vanished_since_the_walk_is_left_out_silently(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = list_files(root).files
    (root / files[7].path).unlink()
    hashed = hash_files(root, files, None, NullProgress())
    assert hashed.table["path"].to_pylist() == [file.path for file in files[:7] + files[8:]]
    assert (hashed.read, len(hashed.unreadable)) == (149, 0)
    assert not caplog.records


def test_a_file_that_cannot_be_read_is_left_out_counted_and_logged(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    unreadable = Path("/proc/self/mem")
    if not unreadable.is_file():
        pytest.skip("needs a file that nobody can read from its beginning, as Linux has one")
    for number in range(12):
        (root / "label 0" / f"z{number:02}.jpg").symlink_to(unreadable)
    hashed = hash_files(root, list_files(root).files, None, NullProgress())
    assert (hashed.table.num_rows, hashed.read, len(hashed.unreadable)) == (150, 150, 12)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "label 0/z00.jpg (Input/output error)" in record.getMessage()
    assert "and 2 more" in record.getMessage()


def test_an_interrupt_stops_the_threads_before_all_is_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def watched(path: Path) -> str:
        read.append(path)
        return file_sha256(path)

    monkeypatch.setattr("tasks.snapshot.hashes.photo_sha256", watched)
    with pytest.raises(KeyboardInterrupt):
        hash_files(root, [PhotoFile("label 0/000.jpg", 9, "5")] * 20_000, None, Interrupt())
    assert 0 < len(read) < 10_000


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


def test_hashes_that_are_dropped_are_gone_and_the_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "hashes.parquet"
    publish_parquet(path, known(("a.jpg", 1, "5", "aa"), ("b.jpg", 1, "5", "bb")))
    drop_hashes(path, ["a.jpg", "c.jpg"])
    assert read_hashes(path) == known(("b.jpg", 1, "5", "bb"))


def test_where_there_are_no_hashes_none_are_dropped(tmp_path: Path) -> None:
    drop_hashes(tmp_path / "hashes.parquet", ["a.jpg"])
    assert list(tmp_path.iterdir()) == []


def test_hashes_that_were_published_are_read_again(tmp_path: Path) -> None:
    table = known(("roses/a.jpg", 1, "2", "ab" * 32))
    publish_parquet(tmp_path / "stage=x" / "hashes.parquet", table)
    assert read_hashes(tmp_path / "stage=x" / "hashes.parquet") == table


def test_where_no_hashes_were_published_none_are_known(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert read_hashes(tmp_path / "hashes.parquet") is None
    assert not caplog.records


@pytest.mark.parametrize("data", [b"", b"PAR1 damaged PAR1"])
def test_damaged_hashes_are_logged_and_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture, data: bytes) -> None:
    (tmp_path / "hashes.parquet").write_bytes(data)
    assert read_hashes(tmp_path / "hashes.parquet") is None
    assert "damaged" in caplog.text


def test_hashes_of_an_earlier_version_are_not_used_and_frighten_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    publish_parquet(
        tmp_path / "hashes.parquet", pa.table({"path": ["a"], "bytes": [1], "mtime_ns": [5], "sha256": ["b"]})
    )
    assert read_hashes(tmp_path / "hashes.parquet") is None
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    assert "another version" in record.getMessage()
