"""Manifests: the small file that a stage writes last, its Luigi output."""

import time
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from tasks.errors import StoreError
from tasks.paths import AnyPath, is_remote
from tasks.shards.schemas import SCHEMA_VERSION
from tasks.storage.files import listed, publish_json, read_json

#: For how many seconds what was read of an object store is good enough: what others remove there meanwhile is no harm.
_SECONDS = 5.0
_read: dict[str, tuple[float, "Manifest"]] = {}


@dataclass(frozen=True)
class StageResult:
    """What a stage's work came to.

    Args:
        key: Key of its store or folder.
        snapshot: Key of the snapshot that it is complete for.
        settings: The settings behind the key.
        photos: Distinct photos that it has a result for.
        new: How many of them this run made.
        reused: How many were there already.
        shards: Names of the shards that hold them; empty where the stage keeps no store.
        details: What else the stage has to say; the run record repeats it.
    """

    key: str
    snapshot: str
    settings: Mapping[str, Any]
    photos: int
    new: int
    reused: int
    shards: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Manifest(StageResult):
    """What a stage holds for a snapshot, and what the run that completed it had to do.

    Args:
        stage: The stage's name.
        run: The run that completed it.
        seconds: How long this run took for it.
        startup: How many of these seconds were no work, by what was prepared: imports, network, processes. Empty in
            what an earlier version of this project wrote.
    """

    stage: str
    run: str
    seconds: float
    startup: Mapping[str, float] = field(default_factory=dict)

    def publish(self, path: AnyPath) -> None:
        """Write the manifest; from then on the stage counts as done."""
        publish_json(path, {"schema_version": SCHEMA_VERSION, **asdict(self)})
        clear_manifest_cache()


def read_manifest(path: AnyPath) -> Manifest:
    """Read a manifest; from an object store no oftener than every few seconds, though every stage asks for them.

    Raises:
        FileNotFoundError: There is none.
        StoreError: It is damaged or of another version.
    """
    asked, manifest = _read.get(str(path), (0.0, None))
    if manifest is None or time.monotonic() - asked > _SECONDS:
        manifest = _read_now(path)
        if is_remote(path):
            _read[str(path)] = time.monotonic(), manifest
    return manifest


def find_manifest(path: AnyPath) -> Manifest | None:
    """Read a manifest; None where there is none, or where it cannot be read and so counts as absent."""
    try:
        return read_manifest(path)
    except (FileNotFoundError, StoreError):
        return None


def clear_manifest_cache() -> None:
    """Read every manifest again when it is asked for, as after one was removed."""
    _read.clear()


def _read_now(path: AnyPath) -> Manifest:
    values = read_json(path)
    try:
        version = values.pop("schema_version")
        manifest = Manifest(**{**values, "shards": tuple(values["shards"])})
    except (AttributeError, KeyError, TypeError) as exc:
        raise StoreError(f"{path} is not a manifest of this version. Delete it; the next run writes it again.") from exc
    if version != SCHEMA_VERSION:
        raise StoreError(f"{path} has schema version {version}, this is {SCHEMA_VERSION}. Delete it and run again.")
    return manifest


def rename_shards(folder: AnyPath, moved: Mapping[str, Collection[str]]) -> None:
    """Let the manifests of a folder name other shards in the place of some.

    A manifest that cannot be read counts as absent everywhere, and is left to the next run.

    Args:
        folder: Where the manifests are; it need not be there.
        moved: The names of the shards that have the rows now, by the name of the one that had them.
    """
    for path in listed(folder, "*.json"):
        manifest = find_manifest(path)
        if manifest and not moved.keys().isdisjoint(manifest.shards):
            names = {name for shard in manifest.shards for name in moved.get(shard, (shard,))}
            replace(manifest, shards=tuple(sorted(names))).publish(path)
