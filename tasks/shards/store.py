"""A store: a folder of immutable Parquet shards, each named by its content."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.concurrency import map_ordered
from tasks.errors import StoreError
from tasks.paths import AnyPath, is_remote
from tasks.runtime import run_status
from tasks.shards.key_index import KeyIndex
from tasks.shards.parquet import open_parquet, publish_shard
from tasks.shards.shard import (
    Opened,
    ShardGoneError,
    check_whole,
    make_whole,
    merged_into,
    places_in,
    reading,
    rows_in,
    uncompressed_bytes,
)
from tasks.storage.errors import DamagedError
from tasks.storage.files import listed
from tasks.storage.tempfiles import sweep

#: Shards of an object store that are opened at once: each waits for a few answers, one after the other.
_AT_ONCE = 8
#: Bytes of shards that are fetched ahead, unless it is one alone: some eight of pictures.
_AHEAD = 2**28
#: Names that an object store lists as one step.
_PAGE = 900


@dataclass(frozen=True)
class ShardStore:
    """Rows keyed by `sha256`, spread over shards that are written once and never changed.

    Two runs that write the same rows at once leave them twice; a reader gets each key's rows from one shard only.

    Args:
        folder: Where the shards are.
        schema: The columns, `sha256` among them, and the metadata of `describe`.
        rows_per_group: Rows of a Parquet row group at most: what a reader holds in memory at once.
    """

    folder: AnyPath
    schema: pa.Schema
    rows_per_group: int

    def append(self, table: pa.Table) -> AnyPath:
        """Publish a table as one more shard, and return its path."""
        shard = publish_shard(self.folder, [table], self.schema, self.rows_per_group)
        run_status.count_published(table.num_rows)
        return shard

    def sweep(self) -> int:
        """Remove what crashed writers left; returns how many files that were."""
        return sweep(self.folder)

    def shards(self) -> list[AnyPath]:
        """Every shard, in the order of their names."""
        found: list[AnyPath] | None = None
        # A folder is not listed as one step: a shard merged meanwhile could be gone before its name is reached, and the
        # large one be there only after its place was passed. What two listings agree on has seen neither.
        while (again := listed(self.folder, "part-*.parquet")) != found:
            if is_remote(self.folder) and len(again) < _PAGE:
                return again
            found = again
        return again

    def search(self, wanted: pa.Array) -> "Search":
        """Look which shards hold the wanted keys; the answer can be brought up to date later, see `Search`."""
        search = Search(self, wanted)
        search.look()
        return search

    def found(self, wanted: pa.Array) -> npt.NDArray[np.bool_]:
        """Which of the wanted keys have a row: bool [N], in the order given."""
        return self.search(wanted).found

    def rows(
        self, wanted: pa.Array, columns: Sequence[str] | None = None, shards: Sequence[AnyPath] | None = None
    ) -> Iterator[pa.Table]:
        """Stream the rows of the wanted keys, a row group at a time, until all are found.

        Args:
            wanted: Keys, each once.
            columns: Those to read; None reads all.
            shards: Where to look, as a manifest names them; None looks everywhere. Where one was merged into another
                since, the other is read in its place.

        Yields:
            Tables that are not empty and together hold every row of the wanted keys that are there, each once.

        Raises:
            ShardGoneError: A shard is gone.
            DamagedError: A shard is damaged: a page's checksum or, where half of its rows or more are wanted, its hash
                is another one.
            StoreError: A shard has other columns.
        """
        missing = np.ones(len(wanted), bool)
        for shard, file, places in self.looked_into(shards, KeyIndex(wanted), whole=True) if len(wanted) else ():
            take = places >= 0
            take[take] = missing[places[take]]
            yield from rows_in(shard, file, take, columns)
            missing[places[take]] = False
            if not missing.any():
                return

    def read(self, wanted: pa.Array) -> pa.Table:
        """All rows of the wanted keys at once, for stores whose rows are small."""
        return pa.concat_tables([self.schema.empty_table(), *self.rows(wanted)])

    def every_row(self, wanted: pa.Array) -> Iterator[tuple[Mapping[bytes, bytes], pa.Table]]:
        """Stream all rows of the wanted keys, those too that stand in several shards.

        Args:
            wanted: Keys, each once.

        Yields:
            The metadata of a shard, and some of its rows.

        Raises:
            As of `rows`.
        """
        for shard, file, places in self.looked_into(None, KeyIndex(wanted), whole=True) if len(wanted) else ():
            for rows in rows_in(shard, file, places >= 0, None):
                yield file.schema_arrow.metadata or {}, rows

    def check(self, found: int, promised: int, what: str) -> None:
        """Compare what was found with what a manifest promised; more is no harm, another run may have added it.

        Raises:
            DamagedError: Less was found, so the manifests are wrong.
        """
        if found < promised:
            raise DamagedError(
                self.folder / "manifests",
                f"The store {self.folder} has {found:,} of {promised:,} {what}: shards are gone. "
                "Delete its folder manifests; the next run makes again what is missing.",
            )

    def files(self, shards: Sequence[AnyPath] | None = None) -> Iterator[tuple[AnyPath, pq.ParquetFile]]:
        """Open shards one after the other; each is closed when the next is asked for.

        A shard that is gone may have been merged into another since it was named (`tasks.shards.compaction`): then
        all others of the folder are opened too, and one of them says that it holds its rows.

        Args:
            shards: Which; None opens every shard.

        Raises:
            StoreError: A shard is damaged, has other columns, or is gone and no other one has taken its place.
        """
        for shard, file, _ in self.looked_into(shards):
            yield shard, file

    def looked_into(
        self, shards: Sequence[AnyPath] | None = None, index: KeyIndex | None = None, *, whole: bool = False
    ) -> Iterator[Opened]:
        """Open shards, several at once where they are far away, and look where the keys of their rows are; see `files`.

        Args:
            shards: Which; None opens every shard.
            index: The keys that are wanted.
            whole: Whether to check all bytes of those of which half of the rows or more are wanted: where little is
                read, that would cost far more than what is read.
        """
        opened: set[AnyPath] = set()
        gone: dict[str, ShardGoneError] = {}
        merged: set[str] = set()
        ahead = self.shards() if shards is None else list(shards)
        while ahead:
            known = len(gone)
            for shard, found in zip(ahead, self._looked(ahead, index, whole=whole), strict=True):
                if isinstance(found, ShardGoneError):
                    gone[shard.name] = found
                    continue
                try:
                    with reading(shard):
                        merged.update(merged_into(found.file))
                    yield found
                finally:
                    found.file.close(force=True)
            opened.update(ahead)
            ahead = [shard for shard in self.shards() if shard not in opened] if len(gone) > known else []
        for name in gone.keys() - merged:
            raise gone[name]

    def _looked(
        self, shards: Sequence[AnyPath], index: KeyIndex | None, *, whole: bool
    ) -> Iterator[Opened | ShardGoneError]:
        look = partial(self._look, index=index)
        if not is_remote(self.folder):
            return map(make_whole, map(look, shards)) if whole else map(look, shards)
        looked = map_ordered(look, shards, _AT_ONCE)
        return map_ordered(make_whole, looked, _AT_ONCE, uncompressed_bytes, _AHEAD) if whole else looked

    def _look(self, shard: AnyPath, index: KeyIndex | None) -> Opened | ShardGoneError:
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
        """Open a shard; whoever asks closes it.

        Raises:
            ShardGoneError: It is gone.
            StoreError: It is damaged or has other columns.
        """
        with reading(shard):
            file = open_parquet(shard)
            schema = file.schema_arrow
        if not schema.equals(self.schema):
            file.close(force=True)
            check_whole(shard)
            raise StoreError(f"{shard} has other columns than this version writes. Move it away and run again.")
        return file


class Search:
    """Where a store has the wanted keys. Asked again, it opens only the shards that are new.

    It holds 4 bytes a key beside the index.

    Args:
        store: The store.
        wanted: Keys, each once.
    """

    def __init__(self, store: ShardStore, wanted: pa.Array) -> None:
        self._store, self._index = store, KeyIndex(wanted)
        self._shards: list[AnyPath] = []
        self._holder = np.full(len(wanted), -1, np.int32)

    def look(self) -> None:
        """Look into the shards that were not there before.

        Raises:
            StoreError: A shard is damaged or has other columns.
        """
        there, looked = self._store.shards(), set(self._shards)
        lost = looked.difference(there)
        self._holder[np.isin(self._holder, [place for place, shard in enumerate(self._shards) if shard in lost])] = -1
        new = [shard for shard in there if shard not in looked]
        for shard, _, found in self._store.looked_into(new, self._index):
            places = found[found >= 0]
            self._holder[places[self._holder[places] < 0]] = len(self._shards)
            self._shards.append(shard)

    @property
    def found(self) -> npt.NDArray[np.bool_]:
        """Which of the wanted keys have a row: bool [N], in their order."""
        found: npt.NDArray[np.bool_] = self._holder >= 0
        return found

    def shards(self, which: npt.NDArray[np.bool_] | None = None) -> list[AnyPath]:
        """The shards that hold rows of the wanted keys, of several that hold the same, one; in the order of names.

        Args:
            which: Of which wanted keys: bool [N]; None is all.
        """
        holders = np.unique(self._holder if which is None else self._holder[which])
        return sorted(self._shards[holder] for holder in holders[holders >= 0])

    def holders(self, which: npt.NDArray[np.bool_]) -> tuple[list[AnyPath], npt.NDArray[np.int64]]:
        """The shards as of `shards`, and the place of each key's shard among them: int64, in the order of the keys.

        Args:
            which: Of which wanted keys, all of them found: bool [N].
        """
        numbers = np.unique(self._holder[which]).tolist()
        numbers.sort(key=self._shards.__getitem__)
        places = np.zeros(len(self._shards), np.int64)
        places[numbers] = np.arange(len(numbers))
        return [self._shards[number] for number in numbers], places[self._holder[which]]
