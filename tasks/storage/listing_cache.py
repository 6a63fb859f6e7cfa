"""A listing of everything below a folder of an object store, which answers questions without further requests."""

from collections import defaultdict
from collections.abc import Collection
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from tasks.concurrency import map_ordered
from tasks.paths import AnyPath
from tasks.storage import object_store
from tasks.storage.protocol import Storage, StoredFile
from tasks.storage.remote_listing import objects_below
from tasks.storage.survey import DiskUsage, Survey

if TYPE_CHECKING:
    from upath import UPath


class ListedSurvey(Survey):
    """Objects below a folder at the time of the listing, except leases and marks; see `Storage.survey`."""

    def __init__(self, storage: Storage, folder: "UPath", apart: Collection[str]) -> None:
        self._storage = storage
        self._root, self._apart = _address(folder), set(apart)
        self._objects: dict[str, StoredFile] = {}
        self._names: dict[str, set[str]] = defaultdict(set)
        wholes = [folder]
        if self._apart:
            top = object_store.list_folder(folder)
            names = [name for name in (*top.files, *top.folders) if not object_store.is_internal(name)]
            self._names[self._root].update(names)
            # Files of the top level are asked for one by one.
            self._apart |= set(top.files)
            wholes = [folder / name for name in names if name not in self._apart]
        for found in map_ordered(_list_all, wholes, object_store.PARALLEL_REQUESTS):
            for path, own in found:
                self._objects[path] = own
                above = self._root
                for name in path.removeprefix(f"{above}/").split("/"):
                    self._names[above].add(name)
                    above = f"{above}/{name}"

    def _is_apart(self, path: AnyPath) -> bool:
        return _address(path).removeprefix(f"{self._root}/").partition("/")[0] in self._apart

    def _is_whole(self, path: AnyPath) -> bool:
        """Whether everything below a path was listed."""
        return not self._is_apart(path) and not (self._apart and _address(path) == self._root)

    def entries(self, folder: AnyPath) -> list[AnyPath]:
        if self._is_apart(folder):
            folders, files = self._storage.list_folder(folder)
            names = {name for name in (*folders, *files) if not object_store.is_internal(name)}
        else:
            names = self._names.get(_address(folder), set())
        return [folder / name for name in sorted(names)]

    def is_folder(self, path: AnyPath) -> bool:
        if self._is_apart(path):
            return self._storage.is_folder(path)
        return _address(path) in self._names

    def is_file(self, path: AnyPath) -> bool:
        return path.is_file() if self._is_apart(path) else _address(path) in self._objects

    def is_link(self, path: AnyPath) -> bool:  # noqa: ARG002 (an object store has none)
        return False

    def named(self, folder: AnyPath, pattern: str) -> list[AnyPath]:
        if not self._is_whole(folder):
            return self._storage.survey(folder).named(folder, pattern)
        return [path for path in self._below(folder) if fnmatchcase(path.name, pattern)]

    def measure(self, path: AnyPath) -> DiskUsage:
        if not self._is_whole(path):
            return self._storage.measure(path)
        below = [_address(one) for one in (path, *self._below(path))]
        sizes = [self._objects[one].size for one in below if one in self._objects]
        return DiskUsage(len(sizes), sum(sizes))

    def modified(self, path: AnyPath) -> float:
        return self._objects[_address(path)].modified

    def _below(self, folder: AnyPath) -> list[AnyPath]:
        names = sorted(self._names.get(_address(folder), ()))
        return [path for name in names for path in (folder / name, *self._below(folder / name))]


def _list_all(folder: "UPath") -> list[tuple[str, StoredFile]]:
    """List all objects below a folder with their addresses."""
    return [
        (f"{_address(folder)}/{found.path}", found)
        for found in objects_below(folder)
        if not object_store.is_internal(found.path) and not found.path.endswith("/")
    ]


def _address(path: AnyPath) -> str:
    # The address of a bucket ends with a slash.
    return str(path).rstrip("/")
