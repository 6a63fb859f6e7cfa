"""Photos read for the stages after the snapshot: each row group once if the rows come in order."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tasks.paths import AnyPath, to_path
from tasks.snapshot.parquet.image_files import ImageFile
from tasks.snapshot.parquet.row_reader import RowReader, are_rows, open_reader
from tests.snapshot.parquet.parquet_files import flowers, image_table, parquet
from tests.snapshot.photo_files import put
from tests.support.servers.gateway import Gateway
from tests.support.servers.object_store import forget_stores


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[str, int]]:
    """Counts how often each row group is read."""
    counted: Counter[tuple[str, int]] = Counter()
    read = ImageFile.read_group

    def count(self: ImageFile, number: int, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        counted[self.path.name, number] += 1
        return read(self, number, columns)

    monkeypatch.setattr(ImageFile, "read_group", count)
    return counted


def path_of(number: int, file: str = "a.parquet") -> str:
    return f"{file}#{number}/{number}.jpg"


def test_rows_in_order_are_read_from_each_row_group_once(folder: AnyPath, groups: Counter[tuple[str, int]]) -> None:
    put(folder, {"a.parquet": parquet(flowers(range(10))), "b.parquet": parquet(flowers(range(3)))})
    wanted = [0, 1, 3, 4, 9]
    with open_reader(folder, [path_of(0)]) as reader:
        assert [reader.read(path_of(number), 100) for number in wanted] == [b"flower %d" % number for number in wanted]
        assert reader.read(path_of(2, "b.parquet"), 100) == b"flower 2"
        assert reader.threads == 1
    assert groups == {("a.parquet", 0): 1, ("a.parquet", 1): 1, ("a.parquet", 2): 1, ("b.parquet", 0): 1}


def test_rows_in_any_order_are_read_too(tmp_path: Path) -> None:
    put(tmp_path, {"a.parquet": parquet(flowers(range(10)))})
    wanted = [9, 0, 0, 5, 4, 2]
    with open_reader(tmp_path, [path_of(9)]) as reader:
        assert [reader.read(path_of(number), 100) for number in wanted] == [b"flower %d" % number for number in wanted]
        assert reader.sha256(path_of(2)) == hashlib.sha256(b"flower 2").hexdigest()
        assert [reader.read(path_of(7), most) for most in (3, 7, 8)] == [b"flow", b"flower 7", b"flower 7"]


def spoil(path: Path) -> None:
    path.write_bytes(b"no Parquet file")


def shorten(path: Path) -> None:
    path.write_bytes(parquet(flowers(range(2))))


def drop_image(path: Path) -> None:
    images: list[dict[str, Any] | None] = [None] * 10
    path.write_bytes(parquet(image_table(images, label=[0] * 10)))


@pytest.mark.parametrize("change", [spoil, shorten, drop_image])
def test_of_a_row_that_is_gone_no_bytes_are_left(tmp_path: Path, change: Any) -> None:
    put(tmp_path, {"a.parquet": parquet(flowers(range(10)))})
    change(tmp_path / "a.parquet")
    with open_reader(tmp_path, [path_of(5)]) as reader:
        assert reader.read(path_of(5), 100) == b""


def test_a_file_that_is_gone_or_no_file_is_an_error_of_the_system(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.parquet")
    with open_reader(tmp_path, [path_of(5)]) as reader:
        with pytest.raises(FileNotFoundError):
            reader.read(path_of(5), 100)
        with pytest.raises(OSError, match="no regular file"):
            reader.read(path_of(5, "pipe.parquet"), 100)


def test_files_of_a_folder_are_read_as_they_are(folder: AnyPath) -> None:
    put(folder, {"roses/1.jpg": b"12345"})
    with open_reader(folder, ["roses/1.jpg"]) as reader:
        assert (reader.read("roses/1.jpg", 100), reader.read("roses/1.jpg", 3)) == (b"12345", b"1234")
        assert reader.sha256("roses/1.jpg") == hashlib.sha256(b"12345").hexdigest()
        assert reader.threads > 1


def test_a_dataset_without_photos_has_no_rows() -> None:
    assert [are_rows(paths) for paths in ([], ["a.jpg"], ["a.parquet#1/a.jpg"])] == [False, False, True]


def test_a_store_is_asked_once_a_row_group(remote_folder: AnyPath, gateway: Gateway) -> None:
    put(to_path(str(remote_folder)), {"a.parquet": parquet(flowers(range(12)))})
    forget_stores()
    reader = RowReader(to_path(str(remote_folder)))
    with gateway.counting() as requests:
        for number in range(12):
            reader.read(path_of(number), 100)
    # Its size, its end, and three row groups.
    assert requests == {"HEAD": 1, "GET": 4}
    reader.close()
