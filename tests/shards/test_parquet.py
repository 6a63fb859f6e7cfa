"""Parquet files: how they are written, and that damage is noticed."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.shards.parquet import publish_parquet, publish_shard, regroup


def test_a_shard_is_named_by_the_sha256_of_its_bytes_so_that_the_same_rows_make_the_same(tmp_path: Path) -> None:
    first, again, other = (
        publish_shard(tmp_path, [table], table.schema, 4)
        for table in (pa.table({"n": range(rows)}) for rows in (10, 10, 11))
    )
    assert first.name == f"part-{hashlib.sha256(first.read_bytes()).hexdigest()[:16]}.parquet"
    assert first == again != other
    assert set(tmp_path.iterdir()) == {first, other}


def test_a_table_is_published_with_its_metadata_in_row_groups(tmp_path: Path) -> None:
    table = pa.table({"n": range(10)}).replace_schema_metadata({"stage": "snapshot"})
    publish_parquet(tmp_path / "table.parquet", table, rows_per_group=4)
    file = pq.ParquetFile(tmp_path / "table.parquet")
    assert file.read().equals(table, check_metadata=True)
    assert [file.metadata.row_group(group).num_rows for group in range(3)] == [4, 4, 2]


def test_pictures_are_stored_raw_vectors_split_by_bytes_and_other_columns_compressed(tmp_path: Path) -> None:
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


def test_flipped_bits_of_a_picture_are_detected(tmp_path: Path) -> None:
    path, picture = tmp_path / "table.parquet", b"one picture" + bytes(9999)
    publish_parquet(path, pa.table({"image": [picture]}))
    path.write_bytes(path.read_bytes().replace(picture, picture.replace(b"one", b"two")))
    with pytest.raises(OSError, match="checksum"):
        pq.ParquetFile(path, page_checksum_verification=True).read()


@pytest.mark.parametrize(("rows", "sizes"), [(1, [1] * 5), (2, [2, 2, 1]), (3, [3, 2]), (9, [5])])
def test_tables_are_split_and_joined_to_tables_of_one_size(rows: int, sizes: list[int]) -> None:
    parts = [pa.table({"n": [1, 2]}), pa.table({"n": []}, pa.schema([("n", pa.int64())])), pa.table({"n": [3, 4, 5]})]
    joined = list(regroup(parts, rows))
    assert [len(table) for table in joined] == sizes
    assert pa.concat_tables(joined)["n"].to_pylist() == [1, 2, 3, 4, 5]
    assert list(regroup(parts[1:2], rows)) == []
