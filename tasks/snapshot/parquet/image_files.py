"""Parquet files with a column of images, as Hugging Face's datasets writes them: their columns and row groups.

Nothing that such a file says about itself is trusted: its rows are read a few at a time, and counted.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.errors import DatasetError, first_of
from tasks.paths import AnyPath, is_remote
from tasks.snapshot.class_labels import described_columns
from tasks.snapshot.photo_io import open_photo

#: Most bytes of a row group, by its own account and unpacked.
MAX_GROUP_BYTES = 2**34
#: Rows that are unpacked at once: three photos of the largest size, 512 MiB each, fit into an array of Arrow's.
_ROWS = 3
#: Bytes of a column that are read at once.
_BUFFER = 2**23
#: Row groups up to this size are fetched from a store by one request, whatever their number of columns.
_WHOLE = 2**26
_NAMES = ("image", "img", "images", "photo", "picture", "jpg", "jpeg", "png", "webp")
_NAMED = 10


@dataclass(frozen=True)
class ImageColumn:
    """The column of the images in a Parquet file."""

    name: str  #: Name of the column.
    bytes: str  #: Path of the Parquet column with the bytes.
    path: str | None  #: Path of the Parquet column with the names of the images' files, if there is one.


class NoImageColumnError(DatasetError):
    """A Parquet file has no column of images.

    Args:
        schema: The schema of the file.
        message: The error for the user.
    """

    def __init__(self, schema: pa.Schema, message: str) -> None:
        super().__init__(message)
        self.schema = schema


class ImageFile:
    """An open Parquet file with a column of images.

    Args:
        path: The file.
        size: Its bytes, if they are known; saves a request to an object store.
        metadata: What an earlier one has read of its end, likewise.

    Raises:
        DatasetError: It is damaged, is no Parquet file, has no column of images, or a row group that is too large.
        OSError: It cannot be read.
        StoreUnreachableError: The object store does not answer.
    """

    def __init__(self, path: AnyPath, size: int | None = None, metadata: pq.FileMetaData | None = None) -> None:
        self.path = path
        with self.intact():
            source = _source(path, size)
            self._file = pq.ParquetFile(source, metadata=metadata, pre_buffer=False, buffer_size=_BUFFER)
            if is_remote(path) and max(map(self.group_bytes, range(self._file.num_row_groups)), default=0) <= _WHOLE:
                self._file = pq.ParquetFile(source, metadata=self._file.metadata, pre_buffer=True)
            self.schema: pa.Schema = self._file.schema_arrow
        self.column = find_image_column(self.schema, path)
        # Those of given metadata have been checked.
        for number in range(self._file.num_row_groups if metadata is None else 0):
            self._check_group(number, self.group_bytes(number))

    @property
    def metadata(self) -> pq.FileMetaData:
        """The end of the file, which describes its columns and row groups."""
        return self._file.metadata

    def group_starts(self) -> list[int]:
        """Numbers of the first row of each row group, and of the rows in all."""
        starts = [0]
        for number in range(self._file.num_row_groups):
            starts.append(starts[-1] + max(self.metadata.row_group(number).num_rows, 0))
        return starts

    def group_bytes(self, number: int) -> int:
        """Bytes of a row group, unpacked, by its own account."""
        return int(self._file.metadata.row_group(number).total_byte_size)

    def read_group(self, number: int, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Read columns of a row group, among them that of the images' bytes, a few rows at a time.

        Raises:
            DatasetError: It is damaged or too large.
        """
        rows = size = 0
        with self.intact():
            for batch in self._file.iter_batches(_ROWS, row_groups=[number], columns=list(columns), use_threads=False):
                rows, size = rows + batch.num_rows, size + batch.nbytes
                self._check_group(number, size)
                yield batch
        if rows != self.metadata.row_group(number).num_rows:
            raise self._damaged(f"row group {number} has {rows} rows in place of its number")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _check_group(self, number: int, size: int) -> None:
        if size > MAX_GROUP_BYTES:
            raise DatasetError(
                f"Row group {number} of {self.path} has more than {MAX_GROUP_BYTES:,} bytes once it is unpacked, which "
                "is the most. Write the file with smaller row groups, or move it out of the dataset."
            )

    @contextmanager
    def intact(self) -> Iterator[None]:
        """Raise the error of a damaged file for pyarrow's errors; those of the system pass."""
        try:
            yield
        except (pa.ArrowException, ValueError, OverflowError) as exc:
            raise self._damaged(exc) from None
        except OSError as exc:
            # pyarrow reports damage as an OSError without a number, too.
            if exc.errno is not None:
                raise
            raise self._damaged(exc) from None

    def _damaged(self, why: object) -> DatasetError:
        return DatasetError(
            f"{self.path} is no Parquet file, or a damaged one ({str(why).partition(chr(10))[0]}). Copy it again, or "
            "move it out of the dataset."
        )


def images_of(batch: pa.RecordBatch, column: ImageColumn) -> pa.Array:
    """Return the bytes of the images of a batch, null where a row has none."""
    image = batch.column(column.name)
    # `field` would ignore the nulls of the struct itself.
    return image if column.bytes == column.name else image.flatten()[image.type.get_field_index("bytes")]


def names_of(batch: pa.RecordBatch, column: ImageColumn) -> list[bytes | None]:
    """Return the paths that the images of a batch had, which need not be UTF-8; None where there is none."""
    if column.path is None:
        return [None] * batch.num_rows
    image = batch.column(column.name)
    paths = image.flatten()[image.type.get_field_index("path")]
    is_text = pa.types.is_string(paths.type) or pa.types.is_large_string(paths.type)
    return paths.cast(pa.large_binary()).to_pylist() if is_text else [None] * batch.num_rows


def find_image_column(schema: pa.Schema, path: AnyPath) -> ImageColumn:
    """Find the column of images: the one that Hugging Face's metadata name, a struct with bytes, or a binary column.

    Raises:
        NoImageColumnError: There is none, or there are several and none has a usual name; lists the columns.
    """
    described = [name for name, feature in described_columns(schema).items() if _type_of(feature) == "Image"]
    structs = [field.name for field in schema if pa.types.is_struct(field.type) and _with_bytes(field.type)]
    plain = [field.name for field in schema if _is_binary(field.type) and field.name.lower() in _NAMES]
    holding = {*structs, *(field.name for field in schema if _is_binary(field.type))}
    for names in ([name for name in described if name in holding], structs, plain):
        usual = [name for name in names if name.lower() in _NAMES]
        if len(chosen := usual[:1] if len(names) > 1 else names) == 1:
            is_struct = chosen[0] in structs
            inner = schema.field(chosen[0]).type if is_struct else None
            has_path = inner is not None and inner.get_field_index("path") >= 0
            name = chosen[0]
            return ImageColumn(name, f"{name}.bytes" if is_struct else name, f"{name}.path" if has_path else None)
    raise NoImageColumnError(
        schema,
        f"{path} has no column of images among {describe_columns(schema)}. Such a column is a struct of bytes and "
        f"path, as Hugging Face's datasets writes it, or is binary and called {_NAMES[0]}. Write the file with one, or "
        "move it out of the dataset.",
    )


def describe_columns(schema: pa.Schema) -> str:
    """Name the columns of a schema with their types."""
    named = [f"{field.name!r} ({str(field.type)[:60]})" for field in schema]
    return f"its columns {first_of(named, _NAMED)}" if named else "its columns, since it has none"


def _source(path: AnyPath, size: int | None) -> Any:
    """Return a file for pyarrow: an object that is read in ranges, or a path, behind which there is a file."""
    if is_remote(path):
        from tasks.storage.object_ranges import ObjectRanges  # noqa: PLC0415 (files of this machine do not need it)

        return ObjectRanges(path, size)
    # A pipe would never end.
    open_photo(path).close()
    return path


def _type_of(feature: object) -> object:
    return feature.get("_type") if isinstance(feature, dict) else None


def _with_bytes(kind: pa.StructType) -> bool:
    place = kind.get_field_index("bytes")
    return place >= 0 and _is_binary(kind.field(place).type)


def _is_binary(kind: pa.DataType) -> bool:
    return any(is_kind(kind) for is_kind in (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view))
