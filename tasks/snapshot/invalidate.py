"""Invalidates a snapshot whose files turned out to have other bytes, so that the next run takes it again."""

from collections.abc import Sequence
from dataclasses import replace

from tasks.download.source_fallback import INVALIDATED
from tasks.paths import AnyPath
from tasks.shards.manifests import read_manifest
from tasks.snapshot.hashes import drop_hashes


def invalidate(manifest: AnyPath, changed: Sequence[str]) -> None:
    """Let the next run take a date's snapshot again, and read the files that changed, whatever they look like.

    The snapshot stays what it is until then: the run that found it out goes on with it, and so may one whose source is
    away.

    Args:
        manifest: The manifest of the date's snapshot.
        changed: Paths of the files whose bytes are not those of the snapshot.
    """
    drop_hashes(manifest.with_name("hashes.parquet"), changed)
    found = read_manifest(manifest)
    replace(found, details={**found.details, "state": INVALIDATED}).publish(manifest)
