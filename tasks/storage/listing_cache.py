"""What is below a folder, asked for again and again: on an object store it is listed once, and nothing asks again."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, TypeVar

from tasks.concurrency import map_ordered
from tasks.paths import AnyPath, is_remote
from tasks.storage import object_store
from tasks.storage.files import is_folder, listed
from tasks.storage.remote_listing import RemoteFile, objects_below
from tasks.storage.removal import DiskUsage, measure

if TYPE_CHECKING:
    from upath import UPath

ItemT = TypeVar("ItemT")
ReadT = TypeVar("ReadT")


def read_each(read: Callable[[ItemT], ReadT], items: Iterable[ItemT], root: AnyPath) -> Iterator[ReadT]:
    """Read one thing after the other, in an object store many at once, and yield what came of them in order.

    Args:
        read: Reads one; several threads call it at once.
        items: What to read.
        root: The data root, or anything in it: says where they are.
    """
    return map_ordered(read, items, object_store.AT_ONCE) if is_remote(root) else map(read, items)


def survey(folder: AnyPath, apart: Collection[str] = ()) -> "Survey":
    """Look over a folder.

    Args:
        folder: It; it need not be there.
        apart: Names of folders in it that may hold very many files: of an object store these are not listed as a whole,
            but a level at a time where something asks for it.
    """
    return _Listed(folder, apart) if is_remote(folder) else Survey()


class Survey:
    """What is below a folder of this machine, looked at whenever something is asked."""

    def entries(self, folder: AnyPath) -> list[AnyPath]:
        """What is directly in a folder, in the order of names; nothing where it is not there."""
        return sorted(folder.iterdir()) if folder.is_dir() else []

    def is_folder(self, path: AnyPath) -> bool:
        """Whether a folder is there."""
        return path.is_dir()

    def is_file(self, path: AnyPath) -> bool:
        """Whether a file is there."""
        return path.is_file()

    def named(self, folder: AnyPath, pattern: str) -> list[AnyPath]:
        """Files and folders at any depth below a folder whose name fits, in the order of their paths."""
        return sorted(folder.rglob(pattern))

    def measure(self, path: AnyPath) -> DiskUsage:
        """What a file or folder takes; nothing where it is not there."""
        return measure(path)

    def modified(self, path: AnyPath) -> float:
        """When a file that is there was written, in seconds since 1970."""
        return path.stat().st_mtime


class _Listed(Survey):
    """What was below a folder of an object store when it was listed, but for leases and marks; see `survey`."""

    def __init__(self, folder: "UPath", apart: Collection[str]) -> None:
        self._root, self._apart = _address(folder), set(apart)
        self._objects: dict[str, RemoteFile] = {}
        self._names: dict[str, set[str]] = defaultdict(set)
        wholes = [folder]
        if self._apart:
            top = object_store.list_folder(folder)
            names = [name for name in (*top.files, *top.folders) if not object_store.is_aid(name)]
            self._names[self._root].update(names)
            # What a file is, is asked of it alone.
            self._apart |= set(top.files)
            wholes = [folder / name for name in names if name not in self._apart]
        for found in read_each(_list_all, wholes, folder):
            for path, own in found:
                self._objects[path] = own
                above = self._root
                for name in path.removeprefix(f"{above}/").split("/"):
                    self._names[above].add(name)
                    above = f"{above}/{name}"

    def _is_apart(self, path: AnyPath) -> bool:
        return _address(path).removeprefix(f"{self._root}/").partition("/")[0] in self._apart

    def _is_whole(self, path: AnyPath) -> bool:
        """Whether all below a path was listed."""
        return not self._is_apart(path) and not (self._apart and _address(path) == self._root)

    def _direct(self, folder: AnyPath) -> list[AnyPath]:
        return [path for path in listed(folder) if not object_store.is_aid(path.name)]

    def entries(self, folder: AnyPath) -> list[AnyPath]:
        """What is directly in a folder, in the order of names; nothing where it is not there."""
        if self._is_apart(folder):
            return self._direct(folder)
        return [folder / name for name in sorted(self._names.get(_address(folder), ()))]

    def is_folder(self, path: AnyPath) -> bool:
        """Whether a folder is there."""
        return is_folder(path) if self._is_apart(path) else _address(path) in self._names

    def is_file(self, path: AnyPath) -> bool:
        """Whether a file is there."""
        return path.is_file() if self._is_apart(path) else _address(path) in self._objects

    def named(self, folder: AnyPath, pattern: str) -> list[AnyPath]:
        """Files and folders at any depth below a folder whose name fits, in the order of their paths."""
        if not self._is_whole(folder):
            return survey(folder).named(folder, pattern)
        below = [path for entry in self.entries(folder) for path in (entry, *self.named(entry, "*"))]
        return [path for path in below if fnmatchcase(path.name, pattern)]

    def measure(self, path: AnyPath) -> DiskUsage:
        """What a file or folder takes; nothing where it is not there."""
        if not self._is_whole(path):
            return measure(path)
        below = [_address(one) for one in (path, *self.named(path, "*"))]
        sizes = [self._objects[one].size for one in below if one in self._objects]
        return DiskUsage(len(sizes), sum(sizes))

    def modified(self, path: AnyPath) -> float:
        """When a file that is there was written, in seconds since 1970."""
        return self._objects[_address(path)].modified


def _list_all(folder: AnyPath) -> list[tuple[str, RemoteFile]]:
    """List all objects below a folder of a store with their addresses."""
    if not is_remote(folder):
        return []
    return [
        (f"{_address(folder)}/{found.path}", found)
        for found in objects_below(folder)
        if not object_store.is_aid(found.path) and not found.path.endswith("/")
    ]


def _address(path: AnyPath) -> str:
    # That of a bucket itself ends with a slash.
    return str(path).rstrip("/")
