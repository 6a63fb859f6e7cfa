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
    """The current version of a dataset, beside its champion."""

    version: ServedVersion | None  #: The current version; None if there is none.
    champion: str | None  #: Key of the champion; None if there is none.
    obstacle: str = ""  #: Reason why the current version is not the champion; empty if it is, or is to be.
    due: bool = False  #: Whether the champion is still to be published.
    published: bool = False  #: Whether the version was published by the call that returns this.


def current_version(root: DataRoot, dataset: str) -> ServedVersion | None:
    """The version that `current` points to; None where there is none."""
    name = root.storage.read_pointer(root.serving(dataset) / CURRENT)
    return _read_version(root.serving(dataset) / name) if name else None


def served_state(root: DataRoot, dataset: str) -> ServingState:
    """The current version of a dataset, and whether its champion is to be published.

    Raises:
        StoreError: The file that names the champion is damaged.
    """
    champion, current = read_champion(root.champion(dataset)), current_version(root, dataset)
    if champion is None:
        return ServingState(current, None, "the dataset has no champion")
    newest = served_versions(root, dataset)[-1:]
    if newest and newest[0].model == champion.model:
        # Servers load the newest version, whatever `current` points to.
        return ServingState(current, champion.model, due=current != newest[0])
    if is_exported(champion.model, root):
        return ServingState(current, champion.model, due=True)
    return ServingState(current, champion.model, f"the champion {champion.model} has no export")


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
        state = served_state(root, dataset)
        if state.champion is not None and state.due:
            state = _publish(state.champion, root, dataset, progress)
        if not state.obstacle:
            _trim(served_versions(root, dataset), keep, root, folder)
        return state


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


def _publish(model: str, root: DataRoot, dataset: str, progress: Progress) -> ServingState:
    """Publish a model under the next number, unless the newest version has it, and point `current` to it."""
    folder, versions = root.serving(dataset), served_versions(root, dataset)
    is_new = not versions or versions[-1].model != model
    # Not the number of an upload that was killed: a server may have tried it, and given it up.
    number = max(_numbers(folder), default=0) + 1 if is_new else versions[-1].number
    if is_new:
        with publish_folder(folder / str(number), progress, last=_SAVED_MODEL) as version:
            if not write_export(model, root, version, progress, linked=True):
                raise StoreError(f"The export of {model} was removed while it was published. Run again.")
            publish_json(version / VERSION, {"model": model})
    root.storage.put_pointer(folder / CURRENT, str(number))
    return ServingState(ServedVersion(number, model), model, published=is_new)


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
