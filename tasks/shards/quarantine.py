"""What becomes of a file that is damaged: it is set aside, so that it is made again.

It is kept in the folder `damaged` beside where it was, which nothing reads: a disk that damages files is worth a look.
"""

import errno
from collections.abc import Iterator

from tasks.errors import StoreError
from tasks.paths import AnyPath
from tasks.shards.manifests import clear_manifest_cache, find_manifest
from tasks.storage.errors import DamagedError
from tasks.storage.files import listed, move, remove_files

DAMAGED = "damaged"


def quarantine(damaged: DamagedError) -> str:
    """Move what is damaged out of the way, and remove the manifests that say that it is there.

    Returns:
        A sentence that says what is damaged and where it is now.

    Raises:
        StoreError: It is the second time, so the disk should be looked at; or nothing says that it is there, so nothing
            makes it again; or it cannot be read at all.
    """
    cause = damaged.__cause__
    if isinstance(cause, OSError) and cause.errno not in (None, errno.ENOENT):
        # The system does not let us read it: nobody knows whether it is damaged.
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
        move(path, place)
    remove_files(manifests)
    clear_manifest_cache()
    if not there:
        return f"{path} is gone, and is made again."
    why = f" ({cause})" if cause else ""
    return f"{path} is damaged{why}. It is now {place}, and is made again."


def _manifests_of(path: AnyPath) -> Iterator[AnyPath]:
    """The manifests that would be wrong without a file."""
    beside = path.with_name("manifest.json")
    if beside.exists():
        yield beside
    for manifest in (file for folder in listed(path.parent) for file in listed(folder, "*.json")):
        if (found := find_manifest(manifest)) and (path.name in found.shards or path.stem == found.key):
            yield manifest
    if path.parent.name == "rejected":
        # The manifests of the store above it count its rows, and do not name its shards.
        yield from listed(path.parent.parent / "manifests", "*.json")
