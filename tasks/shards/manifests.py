"""Manifests: the small files that stages write last, their Luigi outputs."""

import time
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from tasks.errors import StoreError
from tasks.paths import AnyPath
from tasks.storage.files import listed, publish_json, read_json, storage_at

#: Version of the format of all files.
SCHEMA_VERSION = 1

#: Seconds for which a manifest of an object store is cached: it does no harm if another process removes it meanwhile.
_CACHE_SECONDS = 5.0
_read: dict[str, tuple[float, "Manifest"]] = {}


@dataclass(frozen=True)
class StageResult:
    """Result of a stage's work."""

    key: str  #: Key of its store or folder.
    snapshot: str  #: Key of the snapshot that it is complete for.
    settings: Mapping[str, Any]  #: The settings behind the key.
    photos: int  #: Distinct photos that have a result.
    new: int  #: Number of them that this run made.
    reused: int  #: Number of them that existed before.
    shards: tuple[str, ...] = ()  #: Names of the shards that hold them; empty if the stage keeps no store.
    details: Mapping[str, Any] = field(default_factory=dict)  #: Further facts, which the run record repeats.


@dataclass(frozen=True, kw_only=True)
class Manifest(StageResult):
    """Results of a stage for a snapshot, and the work of the run that completed it."""

    stage: str  #: The stage's name.
    run: str  #: The run that completed it.
    seconds: float  #: Duration of the stage in this run.
    #: Seconds of it for preparations, by kind: imports, network, processes. Earlier versions wrote none.
    startup: Mapping[str, float] = field(default_factory=dict)

    def publish(self, path: AnyPath) -> None:
        """Write the manifest; from then on the stage counts as done."""
        publish_json(path, {"schema_version": SCHEMA_VERSION, **asdict(self)})
        clear_manifest_cache()


def read_manifest(path: AnyPath) -> Manifest:
    """Read a manifest; one of an object store is cached for a few seconds, since every stage asks for it.

    Raises:
        FileNotFoundError: It is missing.
        StoreError: It is damaged or of another version.
    """
    asked, manifest = _read.get(str(path), (0.0, None))
    if manifest is None or time.monotonic() - asked > _CACHE_SECONDS:
        manifest = _read_now(path)
        if storage_at(path).reads_are_requests:
            _read[str(path)] = time.monotonic(), manifest
    return manifest


def find_manifest(path: AnyPath) -> Manifest | None:
    """Read a manifest; None where there is none, or where it cannot be read and so counts as absent."""
    try:
        return read_manifest(path)
    except (FileNotFoundError, StoreError):
        return None


def clear_manifest_cache() -> None:
    """Forget the cached manifests, for example after one was removed."""
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
    """Replace names of shards in the manifests of a folder by those of the shards that have their rows now.

    A manifest that cannot be read counts as absent everywhere, and is left to the next run.
    """
    for path in listed(folder, "*.json"):
        manifest = find_manifest(path)
        if manifest and not moved.keys().isdisjoint(manifest.shards):
            names = {name for shard in manifest.shards for name in moved.get(shard, (shard,))}
            replace(manifest, shards=tuple(sorted(names))).publish(path)
