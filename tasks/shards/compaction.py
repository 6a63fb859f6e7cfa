"""Compaction: merges the small shards of a store into large ones, beside readers and writers.

A large shard is published first; its metadata names the shards that it replaces. Then the manifests that name these are
rewritten, and then they are removed. If it is killed in between, rows are duplicated: readers take one of each, and the
next compaction drops the others. A reader that has the name of a removed shard finds its rows by the metadata.
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
from tasks.shards.manifests import SCHEMA_VERSION, rename_shards
from tasks.shards.merge_plan import Repeats, ShardFacts, plan_merges
from tasks.shards.parquet import open_parquet, publish_shard, regroup
from tasks.shards.shard import MERGED, open_intact, reading
from tasks.shards.store import ShardStore
from tasks.storage.files import listed, lock_folder, storage_at
from tasks.storage.layout import DataRoot


class Extent(NamedTuple):
    """Size of a store."""

    shards: int  #: Number of shards.
    rows: int  #: Number of their rows, duplicates included.
    bytes: int | None  #: Size of the files; None before they are written.

    @classmethod
    def of(cls, shards: Iterable[ShardFacts]) -> Self:
        """Add up shards."""
        facts = list(shards)
        return cls(len(facts), sum(shard.rows for shard in facts), sum(shard.bytes for shard in facts))


class Compacted(NamedTuple):
    """Result of a compaction, or of its plan."""

    before: Extent  #: The store before it.
    after: Extent  #: The same shards after it.


def store_folders(root: DataRoot) -> list[AnyPath]:
    """Folders of a data root's stores with shards: decoded and rejected photos, then bottlenecks."""
    folders = [folder for decoded in listed(root.below("decode")) for folder in (decoded, root.rejected(decoded.name))]
    folders += listed(root.below("bottleneck"))
    return [folder for folder in folders if listed(folder, "part-*.parquet")]


def open_store(folder: AnyPath, rows_per_group: Mapping[str, int]) -> ShardStore:
    """Open a store without its settings, from the first of its shards.

    Args:
        folder: The store's folder.
        rows_per_group: Rows of a row group at most, by stage.

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
    """Compute the result of `run_compaction`, and change nothing."""
    plan = plan_merges(store, rows_per_shard)
    before = Extent.of(plan.shards)
    shards = before.shards - sum(len(group) - 1 for group in plan.groups)
    rows = before.rows - sum(repeated.rows for repeated in plan.repeats.values())
    return Compacted(before, Extent(shards, rows, None if plan.groups else before.bytes))


def run_compaction(store: ShardStore, rows_per_shard: int, progress: Progress) -> Compacted:
    """Merge a store's small shards into large ones, and drop duplicate rows.

    Small shards have less than half of the rows asked for. It takes memory for two row groups and 24 bytes for each key
    of the store, and disk space for one large shard.

    Args:
        store: The store. A large shard has the metadata that the small ones share.
        rows_per_shard: Rows of a large shard at most.
        progress: Counts the rows of large shards.

    Raises:
        StoreError: A shard is damaged or has other columns, or the disk is full; merged shards are kept.
    """
    with lock_folder(store.folder), _explain_write_errors(store.folder):
        plan = plan_merges(store, rows_per_shard)
        progress.start(sum(shard.rows for group in plan.groups for shard in group), "rows")
        written = []
        into: dict[str, str] = {}
        for group in plan.groups:
            merged = _merge(store, group, plan.repeats)
            written.append(merged)
            into.update((shard.path.name, merged.path.name) for shard in group)
            rename_shards(store.folder / "manifests", _new_shards(into, plan.repeats))
            storage_at(store.folder).remove_files([shard.path for shard in group])
            progress.advance(sum(shard.rows for shard in group))
    kept = set(plan.shards) - {shard for group in plan.groups for shard in group}
    return Compacted(Extent.of(plan.shards), Extent.of([*kept, *written]))


@contextmanager
def _explain_write_errors(folder: AnyPath) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise StoreError(
            f"The store {folder} cannot be compacted ({exc}). Make room or mend the folder's rights, and run again; "
            "the shards that are done are kept."
        ) from exc


def _new_shards(into: Mapping[str, str], repeats: Repeats) -> dict[str, set[str]]:
    """Names of the shards that have the rows of each merged shard now: the large one, and owners of duplicates."""
    places = {name: {merged} for name, merged in into.items()}
    for shard, repeated in repeats.items():
        if shard.name in places:
            places[shard.name] |= {into.get(owner.name, owner.name) for owner in repeated.owners}
    return places


def _merge(store: ShardStore, group: Sequence[ShardFacts], repeats: Repeats) -> ShardFacts:
    names = sorted({name for shard in group for name in (shard.path.name, *shard.merged)})
    # Metadata of only some of them does not hold for all rows.
    shared = frozenset.intersection(*(shard.metadata for shard in group))
    schema = store.schema.with_metadata({**dict(shared), MERGED: json.dumps(names)})
    tables = regroup(_rows_to_keep(store, group, repeats), store.rows_per_group)
    path = publish_shard(store.folder, tables, schema, store.rows_per_group)
    with open_parquet(path) as file:
        rows = file.metadata.num_rows
    return ShardFacts(path, rows, path.stat().st_size, tuple(names), group[0].starts[:0], shared)


def _rows_to_keep(store: ShardStore, group: Sequence[ShardFacts], repeats: Repeats) -> Iterator[pa.Table]:
    for shard in group:
        repeated = KeyIndex(pa.array(repeats[shard.path].keys.astype(str))) if shard.path in repeats else None
        for table in _row_groups(store, shard.path):
            yield table if repeated is None else table.filter(pa.array(repeated.places(table.column("sha256")) < 0))


def _row_groups(store: ShardStore, shard: AnyPath) -> Iterator[pa.Table]:
    """Check all bytes of a shard, and read its row groups."""
    # A merged shard is named after its bytes, so damage would go unnoticed from here on.
    file = open_intact(shard, store.open(shard))
    try:
        for number in range(file.num_row_groups):
            with reading(shard):
                table = file.read_row_group(number)
            yield table
    finally:
        file.close(force=True)
