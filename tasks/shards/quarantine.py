"""Moves damaged files to the folder `damaged` beside them, so that they are made again.

Nothing reads that folder; the files show which damage the disk does.
"""

import errno
from collections.abc import Iterator

from tasks.errors import StoreError
from tasks.paths import AnyPath
from tasks.shards.manifests import clear_manifest_cache, find_manifest
from tasks.storage.errors import DamagedError
from tasks.storage.files import listed, storage_at

DAMAGED = "damaged"


def quarantine(damaged: DamagedError) -> str:
    """Move a damaged file aside, and remove the manifests that name it.

    Returns:
        A sentence that names the file and its new place.

    Raises:
        StoreError: The file was damaged before, so the disk should be checked; or no manifest names the missing file,
            so nothing makes it again; or it cannot be read at all.
    """
    cause = damaged.__cause__
    if isinstance(cause, OSError) and cause.errno not in (None, errno.ENOENT):
        # The system refuses to read it, so it may be intact.
        raise damaged
    path, place = damaged.path, damaged.path.parent / DAMAGED / damaged.path.name
    there = path.exists()
    if there and place.exists():
        raise StoreError(
            f"{path} is damaged, and so was {place} before it was made again. Check the disk; then delete {place}, and "
            "run again."
        ) from damaged
    manifests = list(_manifests_of(path))
    if not there and not manifests:
        raise damaged
    if there:
        storage_at(path).move(path, place)
    storage_at(path).remove_files(manifests)
    clear_manifest_cache()
    if not there:
        return f"{path} is gone, and is made again."
    why = f" ({cause})" if cause else ""
    return f"{path} is damaged{why}. It is now {place}, and is made again."


def _manifests_of(path: AnyPath) -> Iterator[AnyPath]:
    """Manifests that would be wrong without a file."""
    beside = path.with_name("manifest.json")
    if beside.exists():
        yield beside
    for manifest in (file for folder in listed(path.parent) for file in listed(folder, "*.json")):
        if (found := find_manifest(manifest)) and (path.name in found.shards or path.stem == found.key):
            yield manifest
    if path.parent.name == "rejected":
        # The manifests of the store above count its rows, but do not name its shards.
        yield from listed(path.parent.parent / "manifests", "*.json")
