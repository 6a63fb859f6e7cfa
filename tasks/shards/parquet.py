"""Writes and opens Parquet files: compression and encoding by the type of the column, a checksum for each page."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.keys import KEY_LENGTH, file_sha256
from tasks.paths import AnyPath
from tasks.storage.files import publishing, read_bytes, storage_at, temporary_file


def open_parquet(path: AnyPath) -> pq.ParquetFile:
    """Open a Parquet file whose page checksums are verified; the caller closes it.

    From an object store only parts are fetched: the end of the file, then the columns that are read of each row group.

    Raises:
        FileNotFoundError: It is missing.
        pyarrow.ArrowInvalid: It is damaged, or not Parquet.
        OSError: It cannot be read.
    """
    storage = storage_at(path)
    file = storage.open_ranges(path)
    try:
        return pq.ParquetFile(file, page_checksum_verification=True, pre_buffer=storage.reads_are_requests)
    except BaseException:
        if not isinstance(file, Path):
            file.close()
        raise


def read_parquet(path: AnyPath, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a Parquet file, or some of its columns; a whole file of an object store takes one request.

    Raises:
        As of `open_parquet`.
    """
    if columns is None and storage_at(path).reads_are_requests:
        with pq.ParquetFile(pa.BufferReader(read_bytes(path)), page_checksum_verification=True) as file:
            return file.read()
    with open_parquet(path) as file:
        return file.read(columns)


def write_parquet(path: Path, tables: Iterable[pa.Table], schema: pa.Schema, rows_per_group: int) -> None:
    """Write tables of a schema into one file, one after the other; each begins a row group."""
    with pq.ParquetWriter(path, schema, **_options(schema)) as writer:
        for table in tables:
            writer.write_table(table.cast(schema), row_group_size=rows_per_group)


def publish_parquet(path: AnyPath, table: pa.Table, rows_per_group: int = 65536) -> None:
    """Publish a table as a Parquet file (zstd)."""
    with publishing(path) as temporary:
        write_parquet(temporary, [table], table.schema, rows_per_group)


def publish_shard(folder: AnyPath, tables: Iterable[pa.Table], schema: pa.Schema, rows_per_group: int) -> AnyPath:
    """Publish tables as one Parquet file that is named after its content; they are consumed one by one.

    Returns:
        The file: `part-`, the first 16 hex digits of the sha256 of its bytes, `.parquet`.
    """
    with temporary_file(folder / "part.parquet") as temporary:
        write_parquet(temporary, tables, schema, rows_per_group)
        shard = folder / shard_name(temporary)
        storage_at(shard).put_file(temporary, shard)
        return shard


def regroup(tables: Iterable[pa.Table], size: int) -> Iterator[pa.Table]:
    """Split and join tables so that each has `size` rows; the last one may have fewer, and none is empty."""
    waiting: pa.Table | None = None
    for table in tables:
        waiting = table if waiting is None else pa.concat_tables([waiting, table])
        while waiting.num_rows >= size:
            yield waiting.slice(0, size)
            waiting = waiting.slice(size)
    if waiting is not None and waiting.num_rows:
        yield waiting


def shard_name(path: AnyPath) -> str:
    """Name a shard after the bytes of a file."""
    return f"part-{file_sha256(path)[:KEY_LENGTH]}.parquet"


def _options(schema: pa.Schema) -> dict[str, Any]:
    """Keywords of `pyarrow.parquet.ParquetWriter` for a schema.

    Pages have checksums: without them zstd passes on flipped bits in silence. Binary columns hold pictures, which are
    distinct and compressed: zstd and a dictionary would take half of the time and save 0.1 % of the bytes. float32
    columns hold probabilities: split by bytes they take a third less time than with a dictionary, and 14 % fewer
    bytes. Integers of bottlenecks have a dictionary: 8 bits take 0.76 bytes, and every Parquet reader supports it.
    """
    kinds = dict(column for field in schema for column in _columns(field))
    pictures = {path for path, kind in kinds.items() if pa.types.is_binary(kind)}
    split = [path for path, kind in kinds.items() if pa.types.is_float32(kind)]
    return {
        "compression": {path: "none" if path in pictures else "zstd" for path in kinds},
        "use_dictionary": [path for path in kinds if path not in {*pictures, *split}],
        "use_byte_stream_split": split,
        "write_page_checksum": True,
    }


def _columns(field: pa.Field, above: str = "") -> Iterator[tuple[str, pa.DataType]]:
    """The Parquet columns of a field: their paths and types."""
    path, kind = f"{above}{field.name}", field.type
    if pa.types.is_struct(kind):
        for member in kind:
            yield from _columns(member, f"{path}.")
    elif pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        yield from _columns(kind.value_field.with_name("element"), f"{path}.list.")
    else:
        yield path, kind
