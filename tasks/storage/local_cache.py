"""What is on an object store as files of this machine, for what reads nothing else.

It is scratch, and is gone when the process ends.
"""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.storage import object_store
from tasks.storage.scratch import own_scratch

if TYPE_CHECKING:
    from upath import UPath

#: What was fetched in this process, by address and version.
_fetched: dict[tuple[str, str], Path] = {}


def fetch(path: "UPath", to: Path) -> None:
    """Copy an object, or all below a folder, to this machine.

    Raises:
        FileNotFoundError: There is nothing.
    """
    _fetch(path, to, object_store.found_at(path))


def local_copy(path: "UPath") -> Path:
    """Fetch a file or folder into scratch, once as long as it stays the same; it is gone when the process ends.

    Raises:
        FileNotFoundError: There is nothing.
    """
    found = object_store.found_at(path)
    now = object_store.version_in(found)
    known = (str(path), now)
    if known not in _fetched or not _fetched[known].exists():
        target = own_scratch() / f"{secrets.token_hex(4)}-{now}" / path.name
        target.parent.mkdir()
        _fetch(path, target, found)
        _fetched[known] = target
    return _fetched[known]


@contextmanager
def fetched(path: "UPath") -> Iterator[Path]:
    """Fetch an object into a file of scratch that has no name after the block; who opens it there can go on reading.

    Raises:
        FileNotFoundError: There is none.
    """
    copy = own_scratch() / secrets.token_hex(6)
    try:
        path.fs.get_file(path.path, str(copy))
        yield copy
    finally:
        copy.unlink(missing_ok=True)


def _fetch(path: "UPath", to: Path, found: Mapping[str, Mapping[str, Any]]) -> None:
    if found.keys() == {path.path}:
        path.fs.get_file(path.path, str(to))
        return
    targets = [str(to / name.removeprefix(object_store.prefix_of(path))) for name in found]
    path.fs.get(list(found), targets, batch_size=object_store.AT_ONCE)
