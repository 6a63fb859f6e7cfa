"""Live shards: those that kept manifests name, and those with rows of kept snapshots that no manifest names."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.errors import StoreError
from tasks.paths import AnyPath
from tasks.runs.retention.references import References, StoreNeed
from tasks.runs.stages import REGISTRY
from tasks.shards.key_index import KeyIndex, Places
from tasks.shards.manifests import find_manifest
from tasks.shards.parquet import open_parquet, read_parquet
from tasks.shards.shard import places_in, reading
from tasks.stage_spec import StageSpec
from tasks.storage.files import read_each
from tasks.storage.layout import DataRoot, manifest_path
from tasks.storage.survey import Survey


def store_folders(specs: Iterable[StageSpec], root: DataRoot, there: Survey) -> list[AnyPath]:
    """Folders of all stores of some stages; those behind a link are left out."""
    parents = {spec: root.below(spec.name) for spec in specs}
    return [
        path
        for spec, parent in parents.items()
        if not there.is_link(parent)
        for path in there.entries(parent)
        if spec.key_in(path, root) == path.name and there.is_folder(path) and not there.is_link(path)
    ]


def add_shards(live: References, root: DataRoot, there: Survey) -> None:
    """Keep the manifests and shards of stores that hold kept snapshots."""
    for store in store_folders([spec for spec in REGISTRY if spec.store], root, there):
        named, unnamed = _named_shards(store, live, there)
        snapshots = {need.snapshot for need in live.manifests | live.rows if need.store == store}
        needed = needed_shards(_shards(store, there), named, root, unnamed)
        needed |= shards_with(_shards(store / "rejected", there), root, snapshots)
        manifests = {snapshot for snapshot in snapshots if there.is_file(manifest_path(store, snapshot))}
        if needed or manifests:
            live.stores.add(store)
            # Where rows alone are kept, a manifest could name shards that are removed.
            kept = {manifest_path(store, key) for key in manifests if StoreNeed(store, key) in live.manifests}
            live.paths |= needed | kept


def _shards(folder: AnyPath, there: Survey) -> list[AnyPath]:
    return [path for path in there.entries(folder) if fnmatch(path.name, "part-*.parquet")]


def _named_shards(store: AnyPath, live: References, there: Survey) -> tuple[set[AnyPath], set[str]]:
    """Read the kept manifests of a store.

    A manifest that cannot be read counts as absent, and one may name a shard that was merged into another since: then
    the rows of its snapshot are looked for.

    Returns:
        The shards that the manifests name, and the kept snapshots whose rows are not all in these.
    """
    shards: set[AnyPath] = set()
    snapshots: set[str] = set()
    unnamed = {need.snapshot for need in live.rows if need.store == store}
    wanted = sorted(need.snapshot for need in live.manifests if need.store == store)
    manifests = read_each(find_manifest, [manifest_path(store, snapshot) for snapshot in wanted], store)
    for snapshot, manifest in zip(wanted, manifests, strict=True):
        named = {store / name for name in manifest.shards} if manifest else set()
        found = {shard for shard in named if there.is_file(shard)}
        shards |= found
        (snapshots if manifest and found == named else unnamed).add(snapshot)
    return shards, unnamed - snapshots


def needed_shards(
    shards: Sequence[AnyPath], named: Iterable[AnyPath], root: DataRoot, snapshots: Iterable[str]
) -> set[AnyPath]:
    """Find the shards of a store that have to stay. Of several that hold the same photo, one has to.

    Args:
        shards: All shards of the store, in the order of their names.
        named: Shards that stay anyway.
        root: The data root.
        snapshots: Snapshots whose rows have to stay; where one of them cannot be read, all shards do.
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
    """Find the shards of a folder of rejected photos that have to stay, for the rows of these snapshots.

    All that hold a photo have to: it may have been rejected for several reasons, one after the other. Where a snapshot
    cannot be read, all shards stay.
    """
    wanted = _keys(root, snapshots) if shards else None
    if wanted is None:
        return set(shards)
    found = read_each(partial(_places, index=KeyIndex(wanted)), shards, root.path)
    return {shard for shard, places in zip(shards, found, strict=True) if places is None or len(places)}


def _places(shard: AnyPath, index: KeyIndex) -> Places | None:
    """Places of the wanted keys that a shard holds, int64 [N]; None where it cannot be read."""
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
