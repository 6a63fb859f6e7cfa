"""A store: a folder of immutable Parquet shards, each named after its content."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.concurrency import map_ordered
from tasks.errors import StoreError
from tasks.paths import AnyPath
from tasks.runtime import run_status
from tasks.shards.key_index import KeyIndex
from tasks.shards.parquet import open_parquet, publish_shard
from tasks.shards.shard import (
    Opened,
    ShardGoneError,
    check_intact,
    merged_into,
    places_in,
    reading,
    rows_in,
    uncompressed_bytes,
    verify_opened,
)
from tasks.storage.errors import DamagedError
from tasks.storage.files import listed, storage_at, sweep

#: Shards of an object store that are opened in parallel: each takes a few requests, one after the other.
_PARALLEL_SHARDS = 8
#: Bytes of shards that are fetched ahead, except one larger shard: about eight shards of pictures.
_PREFETCH_BYTES = 2**28


@dataclass(frozen=True)
class ShardStore:
    """Rows keyed by `sha256`, in shards that are written once and never changed.

    Two runs that write the same rows at the same time duplicate them; a reader takes each key's rows from one shard.
    """

    folder: AnyPath  #: Folder of the shards.
    schema: pa.Schema  #: The columns, `sha256` among them, and the metadata of `describe`.
    rows_per_group: int  #: Rows of a Parquet row group at most, which a reader holds in memory.

    def append(self, table: pa.Table) -> AnyPath:
        """Publish a table as a new shard, and return its path."""
        shard = publish_shard(self.folder, [table], self.schema, self.rows_per_group)
        run_status.count_published(table.num_rows)
        return shard

    def sweep(self) -> None:
        """Remove temporary files of crashed writers."""
        sweep(self.folder)

    def shards(self) -> list[AnyPath]:
        """All shards, in the order of their names."""
        found: list[AnyPath] | None = None
        # A long listing is not atomic: a shard merged meanwhile may vanish before its name is reached, and the merged
        # one appear where the listing has passed. Two equal listings have missed neither.
        while (again := listed(self.folder, "part-*.parquet")) != found:
            if len(again) < storage_at(self.folder).listing_page:
                return again
            found = again
        return again

    def search(self, wanted: pa.Array) -> "Search":
        """Find the shards that hold the wanted keys; the search can be repeated, see `Search`."""
        search = Search(self, wanted)
        search.update()
        return search

    def found(self, wanted: pa.Array) -> npt.NDArray[np.bool_]:
        """Whether each wanted key has a row: bool [N], in the order given."""
        return self.search(wanted).found

    def rows(
        self, wanted: pa.Array, columns: Sequence[str] | None = None, shards: Sequence[AnyPath] | None = None
    ) -> Iterator[pa.Table]:
        """Stream the rows of the wanted keys, at most a row group at a time, until all are found.

        Args:
            wanted: Keys, each once.
            columns: Columns to read; None reads all.
            shards: Shards to search, as a manifest names them; None searches all. If one was merged into another
                meanwhile, the other is read instead.

        Yields:
            Non-empty tables that together hold every row of the wanted keys, each once.

        Raises:
            ShardGoneError: A shard is missing.
            DamagedError: A shard is damaged: a page's checksum or, if half of its rows or more are wanted, the hash of
                the file does not match.
            StoreError: A shard has other columns.
        """
        missing = np.ones(len(wanted), bool)
        for shard, file, places in self.opened(shards, KeyIndex(wanted), verify=True) if len(wanted) else ():
            take = places >= 0
            take[take] = missing[places[take]]
            yield from rows_in(shard, file, take, columns)
            missing[places[take]] = False
            if not missing.any():
                return

    def read(self, wanted: pa.Array) -> pa.Table:
        """Read all rows of the wanted keys, for stores with small rows."""
        return pa.concat_tables([self.schema.empty_table(), *self.rows(wanted)])

    def every_row(self, wanted: pa.Array) -> Iterator[tuple[Mapping[bytes, bytes], pa.Table]]:
        """Stream all rows of the wanted keys, each key once among them, duplicates included; errors as of `rows`.

        Yields:
            The metadata of a shard, and some of its rows.
        """
        for shard, file, places in self.opened(None, KeyIndex(wanted), verify=True) if len(wanted) else ():
            for rows in rows_in(shard, file, places >= 0, None):
                yield file.schema_arrow.metadata or {}, rows

    def check(self, found: int, promised: int, unit: str) -> None:
        """Raise DamagedError if fewer rows were found than a manifest promises; another run may have added more."""
        if found < promised:
            raise DamagedError(
                self.folder / "manifests",
                f"The store {self.folder} has {found:,} of {promised:,} {unit}: shards are gone. "
                "Delete its folder manifests; the next run makes again what is missing.",
            )

    def opened(
        self, shards: Sequence[AnyPath] | None = None, index: KeyIndex | None = None, *, verify: bool = False
    ) -> Iterator[Opened]:
        """Open shards, in parallel on an object store, and find the places of their keys.

        Each is closed when the next is requested. A missing shard may have been merged since it was named
        (`tasks.shards.compaction`): then all others of the folder are opened too, and the metadata of one of them
        names it.

        Args:
            shards: Shards to open; None opens all.
            index: The wanted keys.
            verify: Whether to check all bytes of shards of which half of the rows or more are wanted. For fewer rows
                the check would cost far more than the rows.

        Raises:
            StoreError: A shard is damaged, has other columns, or is missing and was not merged.
        """
        seen: set[AnyPath] = set()
        gone: dict[str, ShardGoneError] = {}
        merged: set[str] = set()
        ahead = self.shards() if shards is None else list(shards)
        while ahead:
            known = len(gone)
            for shard, found in zip(ahead, self._open_all(ahead, index, verify=verify), strict=True):
                if isinstance(found, ShardGoneError):
                    gone[shard.name] = found
                    continue
                try:
                    with reading(shard):
                        merged.update(merged_into(found.file))
                    yield found
                finally:
                    found.file.close(force=True)
            seen.update(ahead)
            ahead = [shard for shard in self.shards() if shard not in seen] if len(gone) > known else []
        for name in gone.keys() - merged:
            raise gone[name]

    def _open_all(
        self, shards: Sequence[AnyPath], index: KeyIndex | None, *, verify: bool
    ) -> Iterator[Opened | ShardGoneError]:
        open_one = partial(self._open_one, index=index)
        if not storage_at(self.folder).reads_are_requests:
            return map(verify_opened, map(open_one, shards)) if verify else map(open_one, shards)
        opened = map_ordered(open_one, shards, _PARALLEL_SHARDS)
        return (
            map_ordered(verify_opened, opened, _PARALLEL_SHARDS, uncompressed_bytes, _PREFETCH_BYTES)
            if verify
            else opened
        )

    def _open_one(self, shard: AnyPath, index: KeyIndex | None) -> Opened | ShardGoneError:
        try:
            file = self.open(shard)
            try:
                places = np.empty(0, np.int64) if index is None else places_in(shard, file, index)
            except BaseException:
                file.close(force=True)
                raise
        except ShardGoneError as exc:
            return exc
        return Opened(shard, file, places)

    def open(self, shard: AnyPath) -> pq.ParquetFile:
        """Open a shard; the caller closes it.

        Raises:
            ShardGoneError: It is missing.
            StoreError: It is damaged or has other columns.
        """
        with reading(shard):
            file = open_parquet(shard)
            schema = file.schema_arrow
        if not schema.equals(self.schema):
            file.close(force=True)
            check_intact(shard)
            raise StoreError(f"{shard} has other columns than this version writes. Move it away and run again.")
        return file


class Search:
    """The shards of a store that hold the wanted keys, given each once; a repeated search opens only new shards.

    It takes 4 bytes a key beside the index.
    """

    def __init__(self, store: ShardStore, wanted: pa.Array) -> None:
        self._store, self._index = store, KeyIndex(wanted)
        self._shards: list[AnyPath] = []
        self._holder = np.full(len(wanted), -1, np.int32)

    def update(self) -> None:
        """Search the shards that are new; raises StoreError if one is damaged or has other columns."""
        there, known = self._store.shards(), set(self._shards)
        lost = known.difference(there)
        self._holder[np.isin(self._holder, [place for place, shard in enumerate(self._shards) if shard in lost])] = -1
        new = [shard for shard in there if shard not in known]
        for shard, _, found in self._store.opened(new, self._index):
            places = found[found >= 0]
            self._holder[places[self._holder[places] < 0]] = len(self._shards)
            self._shards.append(shard)

    @property
    def found(self) -> npt.NDArray[np.bool_]:
        """Whether each wanted key has a row: bool [N], in their order."""
        found: npt.NDArray[np.bool_] = self._holder >= 0
        return found

    def shards(self) -> list[AnyPath]:
        """Shards that hold rows of the wanted keys, in the order of names."""
        holders = np.unique(self._holder)
        return sorted(self._shards[holder] for holder in holders[holders >= 0])

    def holders(self, which: npt.NDArray[np.bool_]) -> tuple[list[AnyPath], npt.NDArray[np.int64]]:
        """Return the shards that hold the wanted keys of a mask, bool [N], all of which must have been found.

        Returns:
            The shards in the order of names, and the place of each key's shard among them: int64, in the order of keys.
        """
        numbers = np.unique(self._holder[which]).tolist()
        numbers.sort(key=self._shards.__getitem__)
        places = np.zeros(len(self._shards), np.int64)
        places[numbers] = np.arange(len(numbers))
        return [self._shards[number] for number in numbers], places[self._holder[which]]
