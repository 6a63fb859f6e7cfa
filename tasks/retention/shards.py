"""Which shards of a store have to stay: those that kept manifests name, and those with rows that nobody names."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.artifacts import DataRoot, KeyIndex
from tasks.artifacts import manifest as place_of
from tasks.artifacts.key_index import Places
from tasks.artifacts.shards import places_in, reading
from tasks.errors import StoreError
from tasks.retention.references import References, readable_manifest


class Named(NamedTuple):
    """What the kept manifests of a store come to.

    Args:
        shards: The shards that they name.
        snapshots: Snapshots whose rows all are in these.
        unnamed: Snapshots whose rows have to stay, but that no manifest has the shards of.
    """

    shards: set[Path]
    snapshots: set[str]
    unnamed: set[str]


def named_shards(store: Path, kept: References) -> Named:
    """Read the kept manifests of a store.

    A manifest that cannot be read counts as absent, and one may name a shard that was merged into another since: then
    the rows of its snapshot are looked for.
    """
    shards: set[Path] = set()
    snapshots: set[str] = set()
    unnamed = {need.snapshot for need in kept.rows if need.store == store}
    for snapshot in sorted(need.snapshot for need in kept.manifests if need.store == store):
        manifest = readable_manifest(place_of(store, snapshot))
        named = {store / name for name in manifest.shards} if manifest else set()
        there = {shard for shard in named if shard.exists()}
        shards |= there
        (snapshots if manifest and there == named else unnamed).add(snapshot)
    return Named(shards, snapshots, unnamed - snapshots)


def needed_shards(store: Path, named: Iterable[Path], root: DataRoot, snapshots: Iterable[str]) -> set[Path]:
    """Find the shards of a store that have to stay. Of several that hold the same photo, one has to.

    Args:
        store: The store.
        named: Shards that stay anyway.
        root: Where the snapshots are.
        snapshots: Those whose rows have to stay; where one of them cannot be read, all shards do.
    """
    kept, wanted = set(named), _keys(root, snapshots)
    if wanted is None:
        return set(_shards(store))
    missing, index = np.ones(len(wanted), bool), KeyIndex(wanted)
    for shard in [*sorted(kept), *(shard for shard in _shards(store) if shard not in kept)]:
        if not missing.any():
            break
        places = _places(shard, index)
        if places is None or missing[places].any():
            kept.add(shard)
        if places is not None:
            missing[places] = False
    return kept


def shards_with(folder: Path, root: DataRoot, snapshots: Iterable[str]) -> set[Path]:
    """Find the shards of a folder of rejected photos that have to stay.

    All that hold a photo have to: it may have been rejected for several reasons, one after the other.

    Args:
        folder: The folder.
        root: Where the snapshots are.
        snapshots: Those whose rows have to stay; where one of them cannot be read, all shards do.
    """
    shards, wanted = _shards(folder), _keys(root, snapshots) if folder.is_dir() else None
    if wanted is None:
        return set(shards)
    index = KeyIndex(wanted)
    found = ((shard, _places(shard, index)) for shard in shards)
    return {shard for shard, places in found if places is None or len(places)}


def _shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("part-*.parquet"))


def _places(shard: Path, index: KeyIndex) -> Places | None:
    """Which of the wanted keys a shard holds: int64 [N]; None where it cannot be read: then nobody knows."""
    try:
        with reading(shard):
            file = pq.ParquetFile(shard)
        with file:
            places = places_in(shard, file, index)
    except (OSError, StoreError):
        return None
    return places[places >= 0]


def _keys(root: DataRoot, snapshots: Iterable[str]) -> pa.Array | None:
    """The keys of all photos of some snapshots, each once; None where one of them cannot be read."""
    try:
        columns = [pq.read_table(root.snapshot(key), columns=["sha256"]).column("sha256") for key in sorted(snapshots)]
    except (pa.ArrowException, OSError):
        return None
    return pc.unique(pa.chunked_array([chunk for column in columns for chunk in column.chunks], pa.string()))
