"""Which shards of a store have to stay: those that kept manifests name, and those with rows that nobody names."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.errors import StoreError
from tasks.paths import AnyPath
from tasks.runs.retention.references import References, readable_manifest
from tasks.shards.key_index import KeyIndex, Places
from tasks.shards.parquet import open_parquet, read_parquet
from tasks.shards.shard import places_in, reading
from tasks.storage.files import read_each
from tasks.storage.layout import DataRoot
from tasks.storage.layout import manifest_path as place_of
from tasks.storage.survey import Survey


class NamedShards(NamedTuple):
    """What the kept manifests of a store come to.

    Args:
        shards: The shards that they name.
        snapshots: Snapshots whose rows all are in these.
        unnamed: Snapshots whose rows have to stay, but that no manifest has the shards of.
    """

    shards: set[AnyPath]
    snapshots: set[str]
    unnamed: set[str]


def named_shards(store: AnyPath, kept: References, there: Survey) -> NamedShards:
    """Read the kept manifests of a store.

    A manifest that cannot be read counts as absent, and one may name a shard that was merged into another since: then
    the rows of its snapshot are looked for.
    """
    shards: set[AnyPath] = set()
    snapshots: set[str] = set()
    unnamed = {need.snapshot for need in kept.rows if need.store == store}
    wanted = sorted(need.snapshot for need in kept.manifests if need.store == store)
    manifests = read_each(readable_manifest, [place_of(store, snapshot) for snapshot in wanted], store)
    for snapshot, manifest in zip(wanted, manifests, strict=True):
        named = {store / name for name in manifest.shards} if manifest else set()
        found = {shard for shard in named if there.is_file(shard)}
        shards |= found
        (snapshots if manifest and found == named else unnamed).add(snapshot)
    return NamedShards(shards, snapshots, unnamed - snapshots)


def needed_shards(
    shards: Sequence[AnyPath], named: Iterable[AnyPath], root: DataRoot, snapshots: Iterable[str]
) -> set[AnyPath]:
    """Find the shards of a store that have to stay. Of several that hold the same photo, one has to.

    Args:
        shards: All of the store, in the order of their names.
        named: Those that stay anyway.
        root: Where the snapshots are.
        snapshots: Those whose rows have to stay; where one of them cannot be read, all shards do.
    """
    kept, wanted = set(named), _keys(root, snapshots)
    if wanted is None:
        return set(shards)
    if not len(wanted):
        return kept
    missing, index = np.ones(len(wanted), bool), KeyIndex(wanted)
    ordered = [*sorted(kept), *(shard for shard in shards if shard not in kept)]
    found = read_each(partial(_places, index=index), ordered, root.path)
    for shard, places in zip(ordered, found, strict=False):
        if not missing.any():
            break
        if places is None or missing[places].any():
            kept.add(shard)
        if places is not None:
            missing[places] = False
    return kept


def shards_with(shards: Sequence[AnyPath], root: DataRoot, snapshots: Iterable[str]) -> set[AnyPath]:
    """Find the shards of a folder of rejected photos that have to stay.

    All that hold a photo have to: it may have been rejected for several reasons, one after the other.

    Args:
        shards: All of the folder.
        root: Where the snapshots are.
        snapshots: Those whose rows have to stay; where one of them cannot be read, all shards do.
    """
    wanted = _keys(root, snapshots) if shards else None
    if wanted is None:
        return set(shards)
    found = read_each(partial(_places, index=KeyIndex(wanted)), shards, root.path)
    return {shard for shard, places in zip(shards, found, strict=True) if places is None or len(places)}


def _places(shard: AnyPath, index: KeyIndex) -> Places | None:
    """Which of the wanted keys a shard holds: int64 [N]; None where it cannot be read: then nobody knows."""
    try:
        with reading(shard):
            file = open_parquet(shard)
        with file:
            places = places_in(shard, file, index)
    except (OSError, StoreError):
        return None
    return places[places >= 0]


def _keys(root: DataRoot, snapshots: Iterable[str]) -> pa.Array | None:
    """The keys of all photos of some snapshots, each once; None where one of them cannot be read."""
    try:
        paths = [root.snapshot(key) for key in sorted(snapshots)]
        tables = read_each(lambda path: read_parquet(path, ["sha256"]), paths, root.path)
        columns = [table.column("sha256") for table in tables]
    except (pa.ArrowException, OSError):
        return None
    return pc.unique(pa.chunked_array([chunk for column in columns for chunk in column.chunks], pa.string()))
