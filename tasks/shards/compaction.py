"""Compaction: the small shards of a store merged into large ones, beside whoever reads and writes.

A large shard is published first; its metadata names the shards that it takes the place of. Then the manifests that name
these are rewritten, and then they are removed. Killed anywhere in between, rows stand twice, which no reader minds, and
the next compaction drops them. A reader that holds the name of a shard that is gone finds its rows by that metadata.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Self

import pyarrow as pa

from tasks.errors import StoreError
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.shards.key_index import KeyIndex
from tasks.shards.manifests import rename_shards
from tasks.shards.merge_plan import Repeats, ShardFacts, plan_merges
from tasks.shards.parquet import open_parquet, publish_shard
from tasks.shards.schemas import SCHEMA_VERSION
from tasks.shards.shard import MERGED, open_whole, reading
from tasks.shards.store import ShardStore
from tasks.storage.files import listed, remove_files
from tasks.storage.layout import DataRoot
from tasks.storage.locks import lock_folder


class Extent(NamedTuple):
    """How large a store is.

    Args:
        shards: How many shards it has.
        rows: Their rows, those that stand twice counted twice.
        bytes: Size of the files; None where it is not known before they are written.
    """

    shards: int
    rows: int
    bytes: int | None

    @classmethod
    def of(cls, shards: Iterable[ShardFacts]) -> Self:
        """Add up shards."""
        facts = list(shards)
        return cls(len(facts), sum(shard.rows for shard in facts), sum(shard.bytes for shard in facts))


class Compacted(NamedTuple):
    """What a compaction came to, or would come to.

    Args:
        before: The store when it began.
        after: The same shards when it had ended.
    """

    before: Extent
    after: Extent


def store_folders(root: DataRoot) -> list[AnyPath]:
    """Folders of a data root's stores that have shards: the decoded and the rejected ones, then the bottlenecks."""
    decoded = [path.name for path in listed(root.decode(""))]
    embedded = [path.name for path in listed(root.bottleneck(""))]
    folders = [place(key) for key in decoded for place in (root.decode, root.rejected)]
    folders += [root.bottleneck(key) for key in embedded]
    return [folder for folder in folders if listed(folder, "part-*.parquet")]


def open_store(folder: AnyPath, rows_per_group: Mapping[str, int]) -> ShardStore:
    """Find a store from its shards alone.

    Args:
        folder: Where at least one shard is.
        rows_per_group: Of a row group at most, by the stage that the shards name.

    Raises:
        StoreError: The first shard is damaged, or was written by another version.
    """
    first = listed(folder, "part-*.parquet")[0]
    with reading(first), open_parquet(first) as file:
        schema = file.schema_arrow
    metadata = {name: value for name, value in (schema.metadata or {}).items() if name != MERGED}
    stage = metadata.get(b"stage", b"").decode(errors="replace")
    if metadata.get(b"schema_version") != str(SCHEMA_VERSION).encode() or stage not in rows_per_group:
        raise StoreError(f"{first} was written by another version. Move its folder away and run again.")
    return ShardStore(folder, schema.with_metadata(metadata), rows_per_group[stage])


def plan_compaction(store: ShardStore, rows_per_shard: int) -> Compacted:
    """Say what `run_compaction` would do, and change nothing; see there."""
    plan = plan_merges(store, rows_per_shard)
    before = Extent.of(plan.shards)
    shards = before.shards - sum(len(group) - 1 for group in plan.groups)
    rows = before.rows - sum(repeated.rows for repeated in plan.repeats.values())
    return Compacted(before, Extent(shards, rows, None if plan.groups else before.bytes))


def run_compaction(store: ShardStore, rows_per_shard: int, progress: Progress) -> Compacted:
    """Merge a store's small shards into large ones, and drop rows that stand twice.

    Small is what has less than half the rows asked for. Memory holds two row groups, and 24 bytes for each key of the
    store while it looks for rows that stand twice; the disk holds one large shard more than before.

    Args:
        store: The store. A large shard has the metadata that the small ones share.
        rows_per_shard: Rows of a large shard at most.
        progress: Told of the rows of each large shard once it is done.

    Raises:
        StoreError: A shard is damaged or has other columns, or there is no room; the shards that are done are kept.
    """
    with lock_folder(store.folder), _writing(store.folder):
        plan = plan_merges(store, rows_per_shard)
        progress.start(sum(shard.rows for group in plan.groups for shard in group), "rows")
        written = []
        into: dict[str, str] = {}
        for group in plan.groups:
            merged = _merge(store, group, plan.repeats)
            written.append(merged)
            into.update((shard.path.name, merged.path.name) for shard in group)
            rename_shards(store.folder / "manifests", _whereabouts(into, plan.repeats))
            remove_files([shard.path for shard in group])
            progress.advance(sum(shard.rows for shard in group))
    kept = set(plan.shards) - {shard for group in plan.groups for shard in group}
    return Compacted(Extent.of(plan.shards), Extent.of([*kept, *written]))


@contextmanager
def _writing(folder: AnyPath) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise StoreError(
            f"The store {folder} cannot be compacted ({exc}). Make room or mend the folder's rights, and run again; "
            "the shards that are done are kept."
        ) from exc


def _whereabouts(into: Mapping[str, str], repeats: Repeats) -> dict[str, set[str]]:
    """Where the rows of merged shards are: in what they were merged into, and where the repeated ones are kept."""
    places = {name: {merged} for name, merged in into.items()}
    for shard, repeated in repeats.items():
        if shard.name in places:
            places[shard.name] |= {into.get(owner.name, owner.name) for owner in repeated.owners}
    return places


def _merge(store: ShardStore, group: Sequence[ShardFacts], repeats: Repeats) -> ShardFacts:
    """Publish the rows of some shards as one, row group by row group."""
    names = sorted({name for shard in group for name in (shard.path.name, *shard.merged)})
    # Only what holds for the rows of each of them holds for all.
    shared = frozenset.intersection(*(shard.metadata for shard in group))
    schema = store.schema.with_metadata({**dict(shared), MERGED: json.dumps(names)})
    tables = _regroup(_kept(store, group, repeats), store.rows_per_group)
    path = publish_shard(store.folder, tables, schema, store.rows_per_group)
    with open_parquet(path) as file:
        rows = file.metadata.num_rows
    return ShardFacts(path, rows, path.stat().st_size, tuple(names), group[0].starts[:0], shared)


def _kept(store: ShardStore, group: Sequence[ShardFacts], repeats: Repeats) -> Iterator[pa.Table]:
    """Read a group's rows, but for those that stand in another shard too."""
    for shard in group:
        repeated = KeyIndex(pa.array(repeats[shard.path].keys.astype(str))) if shard.path in repeats else None
        for table in _groups(store, shard.path):
            yield table if repeated is None else table.filter(pa.array(repeated.places(table.column("sha256")) < 0))


def _groups(store: ShardStore, shard: AnyPath) -> Iterator[pa.Table]:
    """Read the row groups of a shard, of which all bytes are checked."""
    # What is merged gets a name that fits, whatever it is: the last time to see that it is damaged.
    file = open_whole(shard, store.open(shard))
    try:
        for number in range(file.num_row_groups):
            with reading(shard):
                table = file.read_row_group(number)
            yield table
    finally:
        file.close(force=True)


def _regroup(tables: Iterable[pa.Table], size: int) -> Iterator[pa.Table]:
    """Cut tables anew, so that each has `size` rows and only the last one fewer."""
    waiting: pa.Table | None = None
    for table in tables:
        waiting = table if waiting is None else pa.concat_tables([waiting, table])
        while waiting.num_rows >= size:
            yield waiting.slice(0, size)
            waiting = waiting.slice(size)
    if waiting is not None and waiting.num_rows:
        yield waiting
