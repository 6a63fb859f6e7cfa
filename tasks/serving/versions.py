"""Versions of a dataset's champion for model servers: `serving/<dataset>/<number>/`, and `current` beside them."""

from typing import NamedTuple

from tasks.champion.champion_file import read_champion
from tasks.errors import StoreError
from tasks.export.files import is_exported, is_shareable, write_export
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.storage.files import (
    is_there,
    lock_folder,
    publish_folder,
    publish_json,
    read_json,
    storage_at,
    sweep,
)
from tasks.storage.layout import DataRoot
from tasks.storage.removal import remove

CURRENT = "current"
#: File of a version that names its model.
VERSION = "version.json"
#: The file that makes a folder a SavedModel; servers load nothing without it.
_SAVED_MODEL = "saved_model.pb"


class ServedVersion(NamedTuple):
    """A version of the champion that model servers load."""

    number: int  #: Its number; servers load the largest one.
    model: str  #: Key of its model.


class ServingState(NamedTuple):
    """Outcome of publishing the champion."""

    version: ServedVersion | None  #: The current version; None if there is none.
    published: bool  #: Whether it is new.
    champion: str | None  #: Key of the champion; None if there is none.
    obstacle: str  #: Reason why the current version is not the champion; empty if it is.


def current_version(root: DataRoot, dataset: str) -> ServedVersion | None:
    """The version that `current` points to; None where there is none."""
    name = root.storage.read_pointer(root.serving(dataset) / CURRENT)
    return _read_version(root.serving(dataset) / name) if name else None


def is_served(root: DataRoot, dataset: str) -> bool:
    """Whether the newest version is the champion and the current one, as far as there is a champion with an export."""
    try:
        champion = read_champion(root.champion(dataset))
    except StoreError:
        return False
    if champion is None or not is_exported(champion.model, root):
        return True
    versions, current = served_versions(root, dataset), current_version(root, dataset)
    return bool(versions) and current == versions[-1] and current.model == champion.model


def serve_champion(root: DataRoot, dataset: str, keep: int, progress: Progress) -> ServingState:
    """Publish the champion of a dataset under the next number, unless the newest version is the champion already.

    A server that looks for numbers and a reader of `current` find a complete version at any moment. Only the newest one
    has the files that models cannot share. A second call waits for the first, and publishes the champion of then.

    Args:
        root: The data root.
        dataset: Name of the dataset.
        keep: Number of versions that stay, at least 1.
        progress: Shows the upload to an object store.

    Raises:
        StoreError: The file that names the champion is damaged.
    """
    folder = root.serving(dataset)
    with lock_folder(folder):
        sweep(folder)
        champion, current = read_champion(root.champion(dataset)), current_version(root, dataset)
        if champion is None:
            return ServingState(current, published=False, champion=None, obstacle="the dataset has no champion")
        versions = served_versions(root, dataset)
        is_new = not versions or versions[-1].model != champion.model
        if is_new:
            newest = _publish(champion.model, root, folder, progress)
            if newest is None:
                obstacle = f"the champion {champion.model} has no export"
                return ServingState(current, published=False, champion=champion.model, obstacle=obstacle)
            versions.append(newest)
        if current != versions[-1]:
            root.storage.put_pointer(folder / CURRENT, str(versions[-1].number))
        _trim(versions, keep, root, folder)
        return ServingState(versions[-1], published=is_new, champion=champion.model, obstacle="")


def served_versions(root: DataRoot, dataset: str) -> list[ServedVersion]:
    """The complete versions of a dataset, by number."""
    folder = root.serving(dataset)
    complete = [number for number in _numbers(folder) if is_there(folder / str(number))]
    versions = [_read_version(folder / str(number)) for number in complete]
    return [version for version in versions if version is not None]


def _numbers(folder: AnyPath) -> list[int]:
    # Some object stores list folders of which all files were removed.
    names = {file.path.partition("/")[0] for file in storage_at(folder).files_below(folder)}
    return sorted(int(name) for name in names if name.isascii() and name.isdecimal() and name == str(int(name)))


def _read_version(folder: AnyPath) -> ServedVersion | None:
    """Read the version in a folder; None where it is missing or damaged."""
    try:
        return ServedVersion(int(folder.name), str(read_json(folder / VERSION)["model"]))
    except (OSError, StoreError, KeyError, TypeError, ValueError):
        return None


def _publish(model: str, root: DataRoot, folder: AnyPath, progress: Progress) -> ServedVersion | None:
    """Publish a model under the next number; None if it has no export."""
    if not is_exported(model, root):
        return None
    # Not the number of an upload that was killed: a server may have tried it, and given it up.
    number = max(_numbers(folder), default=0) + 1
    with publish_folder(folder / str(number), progress, last=_SAVED_MODEL) as version:
        if not write_export(model, root, version):
            raise StoreError(f"The export of {model} was removed while it was published. Run again.")
        publish_json(version / VERSION, {"model": model})
    return ServedVersion(number, model)


def _trim(versions: list[ServedVersion], keep: int, root: DataRoot, folder: AnyPath) -> None:
    """Remove the oldest versions and uploads that were killed, and from other old ones the files of their own."""
    kept = {version.number for version in versions[-keep:]}
    newest = versions[-1].number
    for number in _numbers(folder):
        place = folder / str(number)
        if number not in kept:
            remove(place, root)
        elif number != newest:
            names = storage_at(place).list_folder(place).files
            storage_at(place).remove_files([place / name for name in names if not is_shareable(name)])
