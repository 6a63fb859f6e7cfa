"""Local copies of objects, for libraries that read local files only. They are removed when the process ends."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.storage import object_store
from tasks.storage.tempfiles import own_scratch

if TYPE_CHECKING:
    from upath import UPath

#: Copies that this process has fetched, by address and version.
_fetched: dict[tuple[str, str], Path] = {}


def fetch(path: "UPath", to: Path, found: Mapping[str, Mapping[str, Any]]) -> None:
    """Copy an object, or the objects that `found_at` found below a folder, to this machine."""
    if found.keys() == {path.path}:
        path.fs.get_file(path.path, str(to))
        return
    targets = [str(to / name.removeprefix(f"{path.path.rstrip('/')}/")) for name in found]
    path.fs.get(list(found), targets, batch_size=object_store.PARALLEL_REQUESTS)


def local(path: "UPath") -> Path:
    """Fetch an object or folder into scratch, once per version; see `Storage.local`."""
    found = object_store.found_at(path)
    now = object_store.version_in(found)
    known = (str(path), now)
    if known not in _fetched or not _fetched[known].exists():
        target = own_scratch() / f"{secrets.token_hex(4)}-{now}" / path.name
        target.parent.mkdir()
        fetch(path, target, found)
        _fetched[known] = target
    return _fetched[known]


@contextmanager
def fetched(path: "UPath") -> Iterator[Path]:
    """Fetch an object into a file of scratch that is unlinked after the block; an open file stays readable."""
    copy = own_scratch() / secrets.token_hex(6)
    try:
        path.fs.get_file(path.path, str(copy))
        yield copy
    finally:
        copy.unlink(missing_ok=True)
