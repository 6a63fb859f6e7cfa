"""Finds the folder of the label folders in an extracted archive."""

from collections.abc import Callable, Iterable

from tasks.paths import AnyPath
from tasks.snapshot.photo_rules import LABEL_TABLES, PHOTO, ignored_by_name, kind_by_suffix
from tasks.storage.files import storage_at


def photos_folder(folder: AnyPath, gives_labels: Callable[[AnyPath, str], bool] = lambda *_: False) -> AnyPath:
    """Find the folder that holds the label folders of an extracted archive, or a table of labels.

    Archives wrap them in one folder or more (`flower_photos/<label>/<photo>`), which may hold a licence beside them. A
    folder is a wrapping if it is the only one that is not ignored, holds folders, and holds no photos: the one label
    folder of an archive is none.

    Args:
        folder: The folder of the extracted archive.
        gives_labels: Tells whether a file called as a table of labels gives some, by its folder and name.
    """
    listing = storage_at(folder).list_folder(folder)
    while len(folders := _used(listing.folders)) == 1 and not _holds_table(folder, listing.files, gives_labels):
        inner = folder / folders[0]
        listing = storage_at(inner).list_folder(inner)
        if _holds_table(inner, listing.files, gives_labels):
            return inner
        if not _used(listing.folders) or PHOTO in map(kind_by_suffix, _used(listing.files)):
            break
        folder = inner
    return folder


def _holds_table(folder: AnyPath, files: Iterable[str], gives_labels: Callable[[AnyPath, str], bool]) -> bool:
    return any(gives_labels(folder, name) for name in LABEL_TABLES.intersection(files))


def _used(names: Iterable[str]) -> list[str]:
    return [name for name in names if not ignored_by_name(name)]
