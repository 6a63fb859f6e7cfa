"""Opens Parquet files of the data root, whichever stage wrote them."""

from dataclasses import dataclass

import pyarrow as pa

from tasks.errors import StoreError
from tasks.paths import AnyPath
from tasks.shards.parquet import open_parquet
from tasks.shards.shard import reading
from tasks.storage.files import is_folder, listed, read_each


@dataclass(frozen=True, eq=False)
class Tables:
    """Parquet files of one schema."""

    files: tuple[AnyPath, ...]  #: The files, 1 at least.
    schema: pa.Schema  #: Columns and metadata.

    def column(self, name: str) -> pa.ChunkedArray:
        """Read a column of all files.

        Raises:
            StoreError: A file is damaged or has other columns.
        """

        def read(path: AnyPath) -> pa.ChunkedArray:
            with reading(path), open_parquet(path) as file:
                return file.read([name]).column(name)

        chunks = [chunk for column in read_each(read, self.files, self.files[0]) for chunk in column.chunks]
        return pa.chunked_array(chunks, self.schema.field(name).type)

    def count(self) -> int:
        """Count the rows.

        Raises:
            StoreError: A file is damaged.
        """

        def rows(path: AnyPath) -> int:
            with reading(path), open_parquet(path) as file:
                return int(file.metadata.num_rows)

        return sum(read_each(rows, self.files, self.files[0]))

    def first(self, count: int) -> pa.Table:
        """Read the first rows.

        Raises:
            StoreError: A file is damaged or has other columns.
        """
        pieces = [self.schema.empty_table()]
        missing = count
        for path in self.files:
            if missing > 0:
                with reading(path), open_parquet(path) as file:
                    for batch in file.iter_batches(min(missing, 64)):
                        pieces.append(pa.Table.from_batches([batch]).slice(0, missing).cast(self.schema))
                        missing -= pieces[-1].num_rows
                        if missing <= 0:
                            break
        return pa.concat_tables(pieces)


def open_tables(path: AnyPath) -> Tables:
    """Open a Parquet file, or the shards of a store.

    Raises:
        StoreError: There is no file, or it is damaged or none of this project.
    """
    files = tuple(listed(path, "part-*.parquet")) if is_folder(path) else (path,)
    if not files:
        raise StoreError(
            f"{path} holds no shards. Give a store, such as data/decode/<key>, or a file of the data root."
        )
    try:
        with open_parquet(files[0]) as file:
            schema = file.schema_arrow
    except (pa.ArrowException, OSError) as exc:
        raise StoreError(f"{files[0]} is damaged, or no Parquet file ({exc}). If it is a shard, delete it.") from exc
    if not {b"schema_version", b"stage", b"key", b"settings"} <= (schema.metadata or {}).keys():
        raise StoreError(f"{path} is a Parquet file, but not one that this project wrote: its metadata names no stage.")
    return Tables(files, schema)
