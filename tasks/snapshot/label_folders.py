"""Finds the folder of the label folders in an extracted archive."""

from collections.abc import Iterable

from tasks.paths import AnyPath
from tasks.snapshot.photo_rules import PHOTO, ignored_by_name, kind_by_suffix
from tasks.storage.files import storage_at


def photos_folder(folder: AnyPath) -> AnyPath:
    """Find the folder that holds the label folders of an extracted archive.

    Archives wrap them in one folder or more (`flower_photos/<label>/<photo>`), which may hold a licence beside them. A
    folder is a wrapping if it is the only one that is not ignored, holds folders, and holds no photos: the one label
    folder of an archive is none.
    """
    listing = storage_at(folder).list_folder(folder)
    while len(folders := _used(listing.folders)) == 1:
        inner = folder / folders[0]
        listing = storage_at(inner).list_folder(inner)
        if not _used(listing.folders) or PHOTO in map(kind_by_suffix, _used(listing.files)):
            break
        folder = inner
    return folder


def _used(names: Iterable[str]) -> list[str]:
    return [name for name in names if not ignored_by_name(name)]
