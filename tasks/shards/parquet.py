"""How Parquet files are written and opened: compression and encoding of each kind of column, and a checksum a page."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.keys import KEY_LENGTH, stream_sha256
from tasks.paths import AnyPath, is_remote, read_bytes
from tasks.storage.files import move_into_place, publishing
from tasks.storage.tempfiles import make_temporary


def open_parquet(path: AnyPath) -> pq.ParquetFile:
    """Open a Parquet file; the checksums of its pages are looked at. Whoever asks closes it.

    Of an object store only what is read is fetched: the end of the file, then the columns asked for of each row group.

    Raises:
        FileNotFoundError: There is none.
        pyarrow.ArrowInvalid: It is damaged, or no Parquet.
        OSError: It cannot be read.
    """
    if not is_remote(path):
        return pq.ParquetFile(path, page_checksum_verification=True)
    file = path.fs.open(path.path, "rb", cache_type="none")
    try:
        return pq.ParquetFile(file, page_checksum_verification=True, pre_buffer=True)
    except BaseException:
        file.close()
        raise


def read_parquet(path: AnyPath, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a Parquet file whole, or some of its columns; from an object store in one request.

    Raises:
        As of `open_parquet`.
    """
    if columns is None and is_remote(path):
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
    """Publish tables as one Parquet file named by its content; they are asked for one after the other.

    Returns:
        The file: `part-`, the first 16 hex digits of the sha256 of its bytes, `.parquet`.
    """
    with make_temporary(folder / "part.parquet", folder=False) as temporary:
        write_parquet(temporary, tables, schema, rows_per_group)
        with temporary.open("rb") as file:
            shard = folder / shard_name(file)
        move_into_place(temporary, shard)
        return shard


def shard_name(file: BinaryIO) -> str:
    """What a shard of a file's bytes is called; they are read from here to the end."""
    return f"part-{stream_sha256(file)[:KEY_LENGTH]}.parquet"


def _options(schema: pa.Schema) -> dict[str, Any]:
    """How files of a schema are written, as keywords of `pyarrow.parquet.ParquetWriter`.

    A page has a checksum: without, zstd passes on flipped bits in silence. Binary columns hold pictures, each another
    and compressed already: zstd, and a dictionary of them, would take half of the time and save 0.1 % of the bytes.
    float32 is for probabilities: their bytes are compressed apart, the first ones of all numbers together, which takes
    a third less time to write and to read than a dictionary does, and 14 % fewer bytes. Whole numbers of bottlenecks
    have a dictionary: a number of 8 bits takes 0.76 bytes, and every reader of Parquet knows it.
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
    """The columns that Parquet makes of a field, by the paths that it knows them by."""
    path, kind = f"{above}{field.name}", field.type
    if pa.types.is_struct(kind):
        for member in kind:
            yield from _columns(member, f"{path}.")
    elif pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        yield from _columns(kind.value_field.with_name("element"), f"{path}.list.")
    else:
        yield path, kind
