"""Files with a table of text: CSV, JSON lines and Parquet."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.snapshot.class_labels import LabelTypeError, class_names, label_texts
from tasks.snapshot.tables.csv_rows import open_csv

#: Most bytes of a file, and of its columns once they are unpacked.
MAX_BYTES = 2**30
#: Most bytes of a value that is used.
_MAX_TEXT = 4096
_CHUNK = 100_000
#: First rows of JSON whose names make the columns.
_FIRST_ROWS = 1000
_SCALARS = "One text, whole number or truth value a row is read"


class TableError(Exception):
    """A file cannot be read as a table; the message goes on after its name, and ends with a full stop."""


def column_names(name: str, data: bytes) -> list[str]:
    """Read the names of the columns of a table.

    Args:
        name: Name of the file, whose suffix tells its format: `.parquet`, `.jsonl`, `.ndjson` or `.json` for JSON
            lines, any other for CSV.
        data: Its bytes.

    Raises:
        TableError: It has no columns that can be read.
    """
    if _is_parquet(name):
        return _parquet_names(data)
    if _is_json(name):
        return list(dict.fromkeys(key for row in islice(_json_rows(data), _FIRST_ROWS) for key in row))
    try:
        return list(open_csv(data, "backslashreplace").fieldnames or ())
    except csv.Error as exc:
        raise TableError(f"is no CSV file ({exc}).") from exc


def read_texts(name: str, data: bytes, columns: Sequence[str]) -> pa.Table:
    """Read some columns of a table as text: null where a row has no value, without white space at the ends of CSV.

    Numbers of classes whose names are in the schema of a Parquet file become these names; see `class_names`.

    Args:
        name: Name of the file; see `column_names`.
        data: Its bytes.
        columns: Names of columns that it has.

    Raises:
        TableError: The file is damaged, or a column holds something else than text, whole numbers or truth values.
    """
    if _is_parquet(name):
        return _parquet_texts(data, columns)
    try:
        rows = _json_texts(data, columns) if _is_json(name) else _csv_texts(data, columns)
        return _tabulate(rows, columns)
    except UnicodeDecodeError as exc:
        raise TableError(f"is not UTF-8 text ({exc}). Save it in UTF-8.") from exc
    except UnicodeEncodeError as exc:
        raise TableError(f"holds half of a character, which is no text ({exc}).") from exc
    except csv.Error as exc:
        raise TableError(f"is no CSV file ({exc}).") from exc


def _is_parquet(name: str) -> bool:
    return name.lower().endswith(".parquet")


def _is_json(name: str) -> bool:
    return name.lower().endswith((".jsonl", ".ndjson", ".json"))


def _tabulate(rows: Iterator[tuple[str | None, ...]], columns: Sequence[str]) -> pa.Table:
    """Make a table in pieces, since the texts of Python take five times the memory."""
    schema, pieces = pa.schema([(name, pa.string()) for name in columns]), []
    while chunk := list(islice(rows, _CHUNK)):
        texts = [pa.array(column, pa.string()) for column in zip(*chunk, strict=True)]
        pieces.append(pa.RecordBatch.from_arrays(texts, schema=schema))
    table = pa.Table.from_batches(pieces, schema)
    for name in columns:
        _check_length(name, table[name])
    return table


def _csv_texts(data: bytes, columns: Sequence[str]) -> Iterator[tuple[str | None, ...]]:
    reader = open_csv(data)
    places = [list(reader.fieldnames or ()).index(name) for name in columns]
    least = max(places)
    # The rows of a DictReader take twice the time.
    for row in reader.reader:
        if len(row) > least:
            yield tuple(row[place].strip() for place in places)
        elif row:
            yield tuple(row[place].strip() if place < len(row) else None for place in places)


def _json_rows(data: bytes) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(io.BytesIO(data), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line.decode("utf-8-sig"))
        except (ValueError, RecursionError) as exc:
            raise TableError(f"is not JSON in line {number} ({exc}). Write one object a line.") from exc
        if not isinstance(row, dict):
            raise TableError(f"has no object in line {number}. Write one object a line, not one list of all.")
        yield row


def _json_texts(data: bytes, columns: Sequence[str]) -> Iterator[tuple[str | None, ...]]:
    for number, row in enumerate(_json_rows(data), 1):
        yield tuple(_json_text(row.get(name), name, number) for name in columns)


def _json_text(value: object, column: str, number: int) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    kind = "a list" if isinstance(value, list) else "an object" if isinstance(value, dict) else f"the number {value}"
    raise TableError(f"has {kind} in the column {column!r} of row {number}. {_SCALARS}.")


def _open_parquet(data: bytes, texts: Sequence[str] | None = None) -> pq.ParquetFile:
    # Dictionaries stay small where a long text is repeated in a million rows.
    return pq.ParquetFile(pa.BufferReader(data), read_dictionary=texts)


def _parquet_names(data: bytes) -> list[str]:
    try:
        return list(_open_parquet(data).schema_arrow.names)
    except (pa.ArrowException, OSError, ValueError, KeyError) as exc:
        raise TableError(f"is no Parquet file, or a damaged one ({exc}).") from None


def _parquet_texts(data: bytes, columns: Sequence[str]) -> pa.Table:
    try:
        plain = _open_parquet(data).schema_arrow
        file = _open_parquet(data, [name for name in columns if pa.types.is_string(plain.field(name).type)])
        _check_unpacked(file.metadata, columns)
        table = file.read(columns=list(columns))
    except (pa.ArrowException, OSError, ValueError, KeyError) as exc:
        raise TableError(f"is a damaged Parquet file ({exc}).") from None
    texts = []
    for name in columns:
        _check_length(name, *(chunk.dictionary for chunk in table[name].chunks if pa.types.is_dictionary(chunk.type)))
        try:
            texts.append(label_texts(table[name], class_names(plain, name)))
        except LabelTypeError as exc:
            raise TableError(f"has in the column {name!r} {exc}. --label-column names another column.") from exc
    return pa.table(texts, list(columns))


def _check_unpacked(metadata: pq.FileMetaData, columns: Sequence[str]) -> None:
    """Refuse a small file that would take gigabytes once it is unpacked."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    own = [
        place for place in range(metadata.num_columns) if metadata.schema.column(place).path.split(".")[0] in columns
    ]
    size = sum(group.column(place).total_uncompressed_size for group in groups for place in own)
    if size > MAX_BYTES or metadata.num_rows > MAX_BYTES // 8:
        raise TableError(f"has {metadata.num_rows:,} rows with {size:,} bytes in the columns that are used, too many.")


def _check_length(column: str, *texts: pa.Array | pa.ChunkedArray) -> None:
    """Refuse texts that are no names of files or labels."""
    for each in texts:
        if pa.types.is_string(each.type) or pa.types.is_large_string(each.type):
            longest = pc.max(pc.binary_length(each)).as_py() or 0
            if longest > _MAX_TEXT:
                raise TableError(
                    f"has a text of {longest:,} bytes in the column {column!r}; {_MAX_TEXT:,} are the most"
                )
