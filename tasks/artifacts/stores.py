"""A store: a folder of immutable Parquet shards, each named by its content."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.artifacts.files import publish_shard, sweep
from tasks.errors import StoreError


@dataclass(frozen=True)
class Store:
    """Rows keyed by `sha256`, spread over shards that are written once and never changed.

    Two runs that write the same rows at once leave them twice; a reader gets each key's rows from one shard only.

    Args:
        folder: Where the shards are.
        schema: The columns, `sha256` among them, and the metadata of `describe`.
        rows_per_group: Rows of a Parquet row group at most: what a reader holds in memory at once.
    """

    folder: Path
    schema: pa.Schema
    rows_per_group: int

    def append(self, table: pa.Table) -> Path:
        """Publish a table as one more shard, and return its path."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return publish_shard(self.folder, table.cast(self.schema), self.rows_per_group)

    def sweep(self) -> int:
        """Remove what crashed writers left; returns how many files that were."""
        return sweep(self.folder)

    def shards(self) -> list[Path]:
        """Every shard, in the order of their names."""
        return sorted(self.folder.glob("part-*.parquet"))

    def found(self, wanted: pa.Array) -> npt.NDArray[np.bool_]:
        """Which of the wanted keys have a row: bool [N], in the order given."""
        index, found = KeyIndex(wanted), np.zeros(len(wanted), bool)
        for shard in self.shards():
            places = index.places(self._keys(shard))
            found[places[places >= 0]] = True
        return found

    def holding(self, wanted: pa.Array) -> list[Path]:
        """The shards that hold rows of the wanted keys."""
        index = KeyIndex(wanted)
        return [shard for shard in self.shards() if (index.places(self._keys(shard)) >= 0).any()]

    def rows(
        self, wanted: pa.Array, columns: Sequence[str] | None = None, shards: Sequence[Path] | None = None
    ) -> Iterator[pa.Table]:
        """Stream the rows of the wanted keys, a row group at a time.

        Args:
            wanted: Keys, each once.
            columns: Those to read; None reads all.
            shards: Where to look, as a manifest names them; None looks everywhere.

        Yields:
            Tables that are not empty and together hold every row of the wanted keys that are there, each once.

        Raises:
            StoreError: A shard is missing or damaged, or has other columns.
        """
        index, seen = KeyIndex(wanted), np.zeros(len(wanted), bool)
        for shard in self.shards() if shards is None else shards:
            file = self._open(shard)
            here = np.zeros(len(wanted), bool)
            for group in range(file.num_row_groups):
                with _reading(shard):
                    keys = file.read_row_group(group, ["sha256"]).column("sha256")
                places = index.places(keys)
                take = places >= 0
                take[take] = ~seen[places[take]]
                if take.any():
                    here[places[take]] = True
                    with _reading(shard):
                        rows = file.read_row_group(group, columns)
                    yield rows.filter(pa.array(take))
            seen |= here

    def read(self, wanted: pa.Array) -> pa.Table:
        """All rows of the wanted keys at once, for stores whose rows are small."""
        return pa.concat_tables([self.schema.empty_table(), *self.rows(wanted)])

    def check(self, found: int, promised: int, what: str) -> None:
        """Compare what was found with what a manifest promised; more is no harm, another run may have added it.

        Raises:
            StoreError: Less was found.
        """
        if found < promised:
            raise StoreError(
                f"The store {self.folder} has {found:,} of {promised:,} {what}: shards are gone. "
                "Delete its folder manifests; the next run makes again what is missing."
            )

    def _keys(self, shard: Path) -> pa.ChunkedArray:
        file = self._open(shard)
        with _reading(shard):
            return file.read(["sha256"]).column("sha256")

    def _open(self, shard: Path) -> pq.ParquetFile:
        with _reading(shard):
            file = pq.ParquetFile(shard, page_checksum_verification=True)
        if not file.schema_arrow.equals(self.schema):
            raise StoreError(f"{shard} has other columns than this version writes. Move it away and run again.")
        return file


@contextmanager
def _reading(shard: Path) -> Iterator[None]:
    """Name the shard in an error; the manifests must go too, since they say that the shard is there."""
    try:
        yield
    except FileNotFoundError as exc:
        raise StoreError(
            f"{shard} is gone. Delete the folder manifests of its store; the next run writes its rows again."
        ) from exc
    except (pa.ArrowInvalid, OSError) as exc:
        raise StoreError(
            f"{shard} is damaged ({exc}). Delete it and the folder manifests of its store; "
            "the next run writes its rows again."
        ) from exc


class KeyIndex:
    """Finds the places of keys among those wanted: built once, so that a shard costs no more the more are wanted.

    Args:
        wanted: Keys, each once.
    """

    def __init__(self, wanted: pa.Array) -> None:
        keys = _as_bytes(wanted)
        self._order = np.argsort(keys)
        self._sorted = keys[self._order]

    def places(self, keys: pa.ChunkedArray) -> npt.NDArray[np.int64]:
        """Place of each key among those wanted, int64 [N]; -1 where it is not wanted."""
        if not len(self._sorted):
            return np.full(len(keys), -1)
        asked = _as_bytes(keys)
        nearest = np.minimum(np.searchsorted(self._sorted, asked), len(self._sorted) - 1)
        return np.where(self._sorted[nearest] == asked, self._order[nearest], -1)


def _as_bytes(keys: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.bytes_]:
    return np.array(keys.to_pylist(), np.bytes_)
