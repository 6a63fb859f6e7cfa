"""Publishing: a file or folder is there whole or not at all, whatever happens to the one who writes it."""

import hashlib
import json
import re
import signal
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.errors import StoreError
from tasks.paths import AnyPath
from tasks.shards.parquet import publish_parquet, publish_shard
from tasks.storage.files import publish_bytes, publish_folder, publish_json, publishing, read_json, sweep
from tests.storage.processes import finish, started
from tests.support.processes import TIMEOUT

Verb = Callable[[Path], AbstractContextManager[Path]]

#: Leaves a half-written file or folder behind the temporary name, and goes on when a line comes in.
WRITER = """
import sys
from pathlib import Path
from tasks.storage.files import publish_folder, publishing

kind, path = sys.argv[1], Path(sys.argv[2])
with (publish_folder if kind == "folder" else publishing)(path) as temporary:
    file = temporary / "inside" if kind == "folder" else temporary
    file.write_text("half")
    print("ready", flush=True)
    sys.stdin.readline()
    file.write_text("whole")
"""

both = pytest.mark.parametrize("verb", [publishing, publish_folder])


def write(verb: Verb, temporary: Path, text: str) -> None:
    (temporary / "inside" if verb is publish_folder else temporary).write_text(text)


def fail(verb: Verb, path: Path, error: BaseException) -> None:
    with verb(path) as temporary:
        write(verb, temporary, "half")
        raise error


def read(path: Path) -> str:
    return (path / "inside" if path.is_dir() else path).read_text()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@both
def test_it_appears_when_the_block_ends_and_nothing_else_does(verb: Verb, tmp_path: Path) -> None:
    path = tmp_path / "not" / "there" / "yet"
    with verb(path) as temporary:
        write(verb, temporary, "whole")
        assert not path.exists()
        assert temporary.parent == path.parent
    assert read(path) == "whole"
    assert names(path.parent) == ["yet"]


@both
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_leaves_nothing(verb: Verb, error: type[BaseException], tmp_path: Path) -> None:
    with pytest.raises(error):
        fail(verb, tmp_path / "thing", error())
    assert names(tmp_path) == []


def test_a_file_that_was_there_is_replaced(tmp_path: Path) -> None:
    publish_bytes(tmp_path / "thing", b"old")
    publish_bytes(tmp_path / "thing", b"new")
    assert (tmp_path / "thing").read_bytes() == b"new"


def test_a_file_that_was_there_survives_an_exception(tmp_path: Path) -> None:
    publish_bytes(tmp_path / "thing", b"old")
    with pytest.raises(ValueError, match="half"):
        fail(publishing, tmp_path / "thing", ValueError("half"))
    assert (tmp_path / "thing").read_bytes() == b"old"


def test_a_folder_published_twice_keeps_the_first(tmp_path: Path) -> None:
    for text in ("first", "second"):
        with publish_folder(tmp_path / "thing") as temporary:
            write(publish_folder, temporary, text)
    assert read(tmp_path / "thing") == "first"
    assert names(tmp_path) == ["thing"]


def test_a_folder_does_not_replace_a_file(tmp_path: Path) -> None:
    publish_bytes(tmp_path / "thing", b"a file")
    with pytest.raises(NotADirectoryError), publish_folder(tmp_path / "thing"):
        pass
    assert (tmp_path / "thing").read_bytes() == b"a file"
    assert names(tmp_path) == ["thing"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_killed_writer_leaves_a_temporary_that_the_next_sweep_removes(kind: str, tmp_path: Path) -> None:
    with started(WRITER, kind, tmp_path / "thing") as process:
        process.send_signal(signal.SIGKILL)
        assert process.wait(TIMEOUT) == -signal.SIGKILL
    assert not (tmp_path / "thing").exists()
    assert len(names(tmp_path)) == 1
    assert sweep(tmp_path) == 1
    assert names(tmp_path) == []


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_sweep_spares_what_is_still_being_written(kind: str, tmp_path: Path) -> None:
    with started(WRITER, kind, tmp_path / "thing") as process:
        assert sweep(tmp_path) == 0
        finish(process)
        assert process.returncode == 0
    assert read(tmp_path / "thing") == "whole"


def test_sweeping_without_pause_never_takes_a_file_from_its_writer(tmp_path: Path) -> None:
    done = threading.Event()

    def sweep_on() -> None:
        while not done.is_set():
            sweep(tmp_path)

    sweepers = [threading.Thread(target=sweep_on) for _ in range(3)]
    for thread in sweepers:
        thread.start()
    try:
        for number in range(150):
            publish_bytes(tmp_path / f"{number}", b"whole")
    finally:
        done.set()
        for thread in sweepers:
            thread.join()
    assert len(names(tmp_path)) == 150


def test_a_sweep_leaves_everything_else_and_what_lies_below(tmp_path: Path) -> None:
    publish_bytes(tmp_path / "thing", b"whole")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / ".tmp-left").touch()
    assert sweep(tmp_path) == 0
    assert names(tmp_path) == ["below", "thing"]
    assert names(tmp_path / "below") == [".tmp-left"]


def test_a_sweep_of_a_missing_folder_removes_nothing(tmp_path: Path) -> None:
    assert sweep(tmp_path / "missing") == 0


@pytest.mark.parametrize("name", ["花" * 80 + ".parquet", "a" * 255, "🌼" * 63], ids=["3 bytes", "1 byte", "4 bytes"])
def test_the_longest_names_can_be_published(name: str, tmp_path: Path) -> None:
    publish_bytes(tmp_path / name, b"whole")
    assert names(tmp_path) == [name]


def test_a_query_over_all_parquet_files_meets_no_temporary_one(tmp_path: Path) -> None:
    with publishing(tmp_path / "part.parquet"):
        assert len(names(tmp_path)) == 1
        assert list(tmp_path.glob("*.parquet")) == []


def publish(folder: Path, rows: int) -> AnyPath:
    """Publish so many rows as a shard with row groups of 4."""
    table = pa.table({"n": range(rows)})
    return publish_shard(folder, [table], table.schema, 4)


def test_a_shard_is_named_by_the_sha256_of_its_bytes(tmp_path: Path) -> None:
    shard = publish(tmp_path / "store", 10)
    assert shard.name == f"part-{hashlib.sha256(shard.read_bytes()).hexdigest()[:16]}.parquet"
    assert names(tmp_path / "store") == [shard.name]


def test_the_same_rows_make_the_same_shard_and_others_another_one(tmp_path: Path) -> None:
    first, again, other = (publish(tmp_path, size) for size in (10, 10, 11))
    assert first == again != other
    assert names(tmp_path) == sorted([first.name, other.name])


def test_a_table_is_published_with_its_metadata_in_row_groups(tmp_path: Path) -> None:
    table = pa.table({"n": range(10)}).replace_schema_metadata({"stage": "snapshot"})
    publish_parquet(tmp_path / "table.parquet", table, rows_per_group=4)
    file = pq.ParquetFile(tmp_path / "table.parquet")
    assert file.read().equals(table, check_metadata=True)
    assert [file.metadata.row_group(group).num_rows for group in range(3)] == [4, 4, 2]


def test_pictures_are_stored_as_they_are_vectors_split_by_bytes_and_all_else_compressed(tmp_path: Path) -> None:
    picture = {"bytes": b"\xff\xd8" * 99, "path": "a.jpeg"}
    vector = pa.array([[0.5, 1.5]], pa.list_(pa.float32(), 2))
    publish_parquet(tmp_path / "table.parquet", pa.table({"key": ["a"], "image": [picture], "bottleneck": vector}))
    group = pq.ParquetFile(tmp_path / "table.parquet").metadata.row_group(0)
    columns = {column.path_in_schema: column for column in map(group.column, range(group.num_columns))}
    assert {path: column.compression for path, column in columns.items()} == {
        "key": "ZSTD",
        "image.bytes": "UNCOMPRESSED",
        "image.path": "ZSTD",
        "bottleneck.list.element": "ZSTD",
    }
    assert "BYTE_STREAM_SPLIT" in columns["bottleneck.list.element"].encodings
    assert [path for path, column in columns.items() if column.has_dictionary_page] == ["key", "image.path"]


def test_whole_numbers_are_stored_by_a_dictionary_in_no_more_bytes_than_they_have(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).integers(0, 256, 64_000, np.uint8)
    schema = pa.schema([pa.field("bottleneck", pa.list_(pa.field("item", pa.uint8(), nullable=False), 64))])
    table = pa.table({"bottleneck": pa.FixedSizeListArray.from_arrays(pa.array(numbers), 64)}).cast(schema)
    publish_parquet(tmp_path / "numbers", table)
    file = pq.ParquetFile(tmp_path / "numbers")
    assert file.read().equals(table)
    assert file.metadata.row_group(0).column(0).has_dictionary_page
    assert (tmp_path / "numbers").stat().st_size < 64_000 * 1.1


def test_flipped_bits_of_a_picture_come_to_light(tmp_path: Path) -> None:
    path, picture = tmp_path / "table.parquet", b"one picture" + bytes(9999)
    publish_parquet(path, pa.table({"image": [picture]}))
    path.write_bytes(path.read_bytes().replace(picture, picture.replace(b"one", b"two")))
    with pytest.raises(OSError, match="checksum"):
        pq.ParquetFile(path, page_checksum_verification=True).read()


def test_json_is_readable_and_keeps_unicode(tmp_path: Path) -> None:
    publish_json(tmp_path / "labels.json", {"labels": ["Gänseblümchen", "蒲公英"]})
    text = (tmp_path / "labels.json").read_text(encoding="utf-8")
    assert text.splitlines()[2] == '    "Gänseblümchen",'
    assert text.endswith("}\n")


def test_json_keeps_paths_that_are_not_utf8(tmp_path: Path) -> None:
    path = rb"c:\udc80\r\xe9sum\xe9".decode("utf-8", "surrogateescape")
    publish_json(tmp_path / "paths.json", [path])
    assert read_json(tmp_path / "paths.json") == [path]


def test_json_refuses_what_other_tools_cannot_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        publish_json(tmp_path / "metrics.json", {"loss": float("nan")})
    assert names(tmp_path) == []


@pytest.mark.parametrize("data", [b"", b'{"half": ', b"\xff\xfe\xfd"])
def test_damaged_json_is_named_with_the_remedy(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(data)
    with pytest.raises(
        StoreError, match=rf"^{re.escape(str(path))} is damaged .*\. Delete it; the next run writes it again\.$"
    ):
        read_json(path)


def test_missing_json_is_not_damaged_json(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "missing.json")


def test_json_is_read_as_it_was_written(tmp_path: Path) -> None:
    value = {"a": [1, 2.5, None, True], "b": {"c": "d"}}
    publish_json(tmp_path / "value.json", value)
    assert read_json(tmp_path / "value.json") == value == json.loads((tmp_path / "value.json").read_text())
