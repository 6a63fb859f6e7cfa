"""How Parquet files are written and opened: compression and encoding of each kind of column, and a checksum a page."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.paths import AnyPath, is_remote, read_bytes

#: What vectors are stored in.
_VECTORS = (pa.float16(), pa.float32())
#: Numbers that are looked at to see whether they repeat, and how often each has to be there on average.
_EXAMPLES, _REPEATED = 65_536, 64


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
    left = iter(tables)
    first = list(itertools.islice(left, 1))
    example = first[0] if first else schema.empty_table()
    with pq.ParquetWriter(path, schema, **_options(schema, example)) as writer:
        for table in itertools.chain(first, left):
            writer.write_table(table.cast(schema), row_group_size=rows_per_group)


def _options(schema: pa.Schema, example: pa.Table) -> dict[str, Any]:
    """How files of a schema are written, as keywords of `pyarrow.parquet.ParquetWriter`.

    A page has a checksum: without, zstd passes on flipped bits in silence. Binary columns hold pictures, each another
    and compressed already: zstd, and a dictionary of them, would take half of the time and save 0.1 % of the bytes.
    float32 is for vectors: their bytes are compressed apart, the first ones of all numbers together, which takes a
    third less time to write and to read than a dictionary does, and 14 % fewer bytes. float16 is for vectors too; its
    bytes stay together, since DuckDB 2.0 does not read halves of them that lie apart, which would save another 7 %.
    Vectors of an int8 network have some 250 different numbers: a dictionary of them takes a third of the bytes, and
    less time.

    Args:
        schema: The schema.
        example: Rows to be written: what is repeated in them is taken to be repeated in all.
    """
    kinds = dict(column for field in schema for column in _columns(field))
    pictures = {path for path, kind in kinds.items() if pa.types.is_binary(kind)}
    vectors = {path for path, kind in kinds.items() if kind in _VECTORS and not _is_repetitive(path, example)}
    return {
        "compression": {path: "none" if path in pictures else "zstd" for path in kinds},
        "use_dictionary": [path for path in kinds if path not in pictures | vectors],
        "use_byte_stream_split": [path for path in vectors if pa.types.is_float32(kinds[path])],
        "write_page_checksum": True,
    }


def _is_repetitive(path: str, example: pa.Table) -> bool:
    """Whether a column of numbers has few different ones, each of them many times."""
    column = example.column(path.partition(".")[0])
    while pa.types.is_list(column.type) or pa.types.is_fixed_size_list(column.type):
        column = pc.list_flatten(column)
    some = column.slice(0, _EXAMPLES)
    return bool(pc.count_distinct(some).as_py() * _REPEATED < len(some))


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
