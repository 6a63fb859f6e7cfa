"""Plans which shards of a store to merge, and which duplicate rows to drop."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow.parquet as pq

from tasks.paths import AnyPath
from tasks.shards.key_index import Starts, Texts, key_starts, key_texts
from tasks.shards.shard import merged_into, reading
from tasks.shards.store import ShardStore

Metadata = frozenset[tuple[bytes, bytes]]


@dataclass(frozen=True, eq=False)
class ShardFacts:
    """Facts about a shard."""

    path: AnyPath  #: Its file.
    rows: int  #: Number of rows.
    bytes: int  #: Size of the file.
    merged: tuple[str, ...]  #: Names of the shards that it replaces.
    starts: Starts  #: First digits of its keys, each once: sorted uint64 [K].
    metadata: Metadata  #: Names and values of its schema's metadata.


@dataclass(frozen=True, eq=False)
class DuplicateRows:
    """Rows of a shard that other shards have too, to be dropped here."""

    keys: Texts  #: Their keys, each once: `S64` [K].
    rows: int  #: Number of rows.
    owners: frozenset[AnyPath]  #: The shards that keep them.


Repeats = Mapping[AnyPath, DuplicateRows]


@dataclass(frozen=True)
class MergePlan:
    """Plan of a compaction."""

    shards: Sequence[ShardFacts]  #: All shards of the store.
    groups: Sequence[Sequence[ShardFacts]]  #: Shards that become one shard each, in the order of their keys.
    repeats: Repeats  #: Rows to drop, by shard.


def plan_merges(store: ShardStore, rows_per_shard: int) -> MergePlan:
    """Read the facts of every shard, and group those with less than half of the rows of a merged shard.

    Raises:
        StoreError: A shard is damaged or has other columns.
    """
    shards = [_facts(shard, file) for shard, file, _ in store.opened()]
    # Large shards keep duplicate rows. Shards merged in the order of their keys are searched many times as fast with
    # the sorted keys of a snapshot.
    shards.sort(key=lambda shard: (2 * shard.rows < rows_per_shard, *(shard.starts[:1].tolist() or [0]), shard.path))
    repeats = _find_repeats(store, shards)
    small = [shard for shard in shards if 2 * shard.rows < rows_per_shard or shard.path in repeats]
    groups = _group(small, repeats, rows_per_shard)
    worth = [group for group in groups if len(group) > 1 or group[0].path in repeats]
    return MergePlan(shards, worth, repeats)


def _facts(shard: AnyPath, file: pq.ParquetFile) -> ShardFacts:
    with reading(shard):
        starts = np.unique(key_starts(_texts(file)))
        metadata = frozenset((file.schema_arrow.metadata or {}).items())
        rows, size = file.metadata.num_rows, shard.stat().st_size
        return ShardFacts(shard, rows, size, tuple(merged_into(file)), starts, metadata)


def _texts(file: pq.ParquetFile) -> Texts:
    return key_texts(file.read(["sha256"], use_threads=False).column("sha256"))


def _group(small: Sequence[ShardFacts], repeats: Repeats, rows_per_shard: int) -> list[list[ShardFacts]]:
    groups: list[list[ShardFacts]] = []
    room = 0
    for shard in small:
        left = shard.rows - (repeats[shard.path].rows if shard.path in repeats else 0)
        if not groups or left > room:
            groups.append([])
            room = rows_per_shard
        groups[-1].append(shard)
        room -= left
    return groups


def _find_repeats(store: ShardStore, shards: Sequence[ShardFacts]) -> Repeats:
    """Find the rows of each shard that an earlier shard has too."""
    starts = np.sort(np.concatenate([np.empty(0, np.uint64), *(shard.starts for shard in shards)]))
    twice = np.unique(starts[1:][starts[1:] == starts[:-1]])
    suspects = [shard.path for shard in shards if len(twice) and np.isin(shard.starts, twice).any()]
    found = []
    for shard, file, _ in store.opened(suspects):
        with reading(shard):
            texts = _texts(file)
        found.append((shard, *np.unique(texts[np.isin(key_starts(texts), twice)], return_counts=True)))
    if not found:
        return {}
    keys = np.concatenate([own for _, own, _ in found])
    shard_of = np.repeat(np.arange(len(found)), [len(own) for _, own, _ in found])
    _, first, number = np.unique(keys, return_index=True, return_inverse=True)
    owner = shard_of[first[number]]
    repeats = {}
    for place, (shard, own, counts) in enumerate(found):
        owners = owner[shard_of == place]
        away = owners != place
        if away.any():
            holders = frozenset(found[holder][0] for holder in np.unique(owners[away]))
            repeats[shard] = DuplicateRows(own[away], int(counts[away].sum()), holders)
    return repeats
