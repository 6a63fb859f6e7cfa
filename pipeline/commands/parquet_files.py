"""Parquet files of the data root, opened without knowing beforehand what they are."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.artifacts.shards import reading
from tasks.errors import StoreError


@dataclass(frozen=True, eq=False)
class Tables:
    """Parquet files of one schema.

    Args:
        files: They; at least one.
        schema: Their columns and metadata.
    """

    files: tuple[Path, ...]
    schema: pa.Schema

    def column(self, name: str) -> pa.ChunkedArray:
        """Read a column of all files.

        Raises:
            StoreError: A file is damaged or has other columns.
        """
        chunks = []
        for path in self.files:
            with reading(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
                chunks += file.read([name]).column(name).chunks
        return pa.chunked_array(chunks, self.schema.field(name).type)

    def first(self, count: int) -> pa.Table:
        """Read the first rows.

        Raises:
            StoreError: A file is damaged or has other columns.
        """
        pieces = [self.schema.empty_table()]
        missing = count
        for path in self.files:
            if missing > 0:
                with reading(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
                    for batch in file.iter_batches(min(missing, 64)):
                        pieces.append(pa.Table.from_batches([batch]).slice(0, missing).cast(self.schema))
                        missing -= pieces[-1].num_rows
                        if missing <= 0:
                            break
        return pa.concat_tables(pieces)


def open_tables(path: Path) -> Tables:
    """Open a Parquet file, or the shards of a store.

    Raises:
        StoreError: There is none, it is damaged, or it is none of this project.
    """
    files = tuple(sorted(path.glob("part-*.parquet"))) if path.is_dir() else (path,)
    if not files:
        raise StoreError(
            f"{path} holds no shards. Give a store, such as data/decode/<key>, or a file of the data root."
        )
    try:
        schema = pq.read_schema(files[0])
    except (pa.ArrowException, OSError) as exc:
        raise StoreError(f"{files[0]} is damaged, or no Parquet file ({exc}). If it is a shard, delete it.") from exc
    if not {b"schema_version", b"stage", b"key", b"settings"} <= (schema.metadata or {}).keys():
        raise StoreError(f"{path} is a Parquet file, but not one that this project wrote: its metadata names no stage.")
    return Tables(files, schema)
