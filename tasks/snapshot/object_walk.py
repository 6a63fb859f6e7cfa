"""Which objects of a store are photos: the rules of the walk, over one listing."""

import errno
from collections.abc import Container
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from tasks.concurrency import map_ordered
from tasks.errors import DatasetError
from tasks.file_types import HEAD
from tasks.paths import AnyPath
from tasks.snapshot.ignored import NOT_A_PHOTO, NOT_REGULAR, OUTSIDE, UNREADABLE, Ignored
from tasks.snapshot.ignored_names import unwanted_name
from tasks.snapshot.listing import PHOTO, Listing, PhotoFile, by_path, kind_by_suffix, unwanted_head
from tasks.snapshot.photo_io import read_photo
from tasks.storage.protocol import StoredFile
from tasks.storage.remote_listing import AT_ONCE, StoreUnreachableError, objects_below

if TYPE_CHECKING:
    from upath import UPath


def list_objects(root: "UPath", *, labelled: bool) -> Listing:
    """List the photos below a folder of a store, without reading any; what its name does not tell of is unclear.

    Args:
        root: The folder.
        labelled: Whether each photo must be in a label's folder; otherwise those beside the folders count too.

    Raises:
        DatasetError: There is no folder, or the store cannot be had.
    """
    found = _Found(labelled=labelled)
    try:
        for one in objects_below(root):
            found.add(one)
    except StoreUnreachableError as exc:
        raise cannot_be_had(exc) from exc
    if not found.objects:
        why = "it is a file" if root.is_file() else "nothing is there"
        raise DatasetError(
            f"There is no folder of photos at {root} ({why}). "
            f"Give a folder that holds {'one folder a label' if labelled else 'photos'}."
        ) from FileNotFoundError(errno.ENOENT, why)
    return Listing(by_path(found.files), found.ignored(), by_path(found.unclear))


def look_into(root: AnyPath, listing: Listing, known: Container[PhotoFile] = ()) -> Listing:
    """Look at the first bytes of what is unclear.

    Args:
        root: The folder.
        listing: What was found there.
        known: Photos, of which nothing needs to be read.

    Returns:
        The same with all photos; what is no photo is counted as ignored.

    Raises:
        DatasetError: The store cannot be had.
    """
    if not listing.unclear:
        return listing
    photos, others, ignored = list(listing.files), [], deepcopy(listing.ignored)
    try:
        looked = map_ordered(partial(_unwanted, root, known), listing.unclear, AT_ONCE)
        for file, reason in zip(listing.unclear, looked, strict=True):
            if reason is None:
                photos.append(file)
            else:
                others.append(file)
                ignored.add(file.path, reason)
    except StoreUnreachableError as exc:
        raise cannot_be_had(exc) from exc
    return replace(listing, files=by_path(photos), ignored=ignored, unclear=by_path(others))


def cannot_be_had(exc: StoreUnreachableError) -> DatasetError:
    """Say that photos cannot be listed or read because of their store."""
    return DatasetError(
        f"The photos at {exc.address} cannot be read ({exc.why}). Check the address, the credentials and the network, "
        "and run again."
    )


def _unwanted(root: AnyPath, known: Container[PhotoFile], file: PhotoFile) -> str | None:
    if file in known:
        return None
    try:
        return unwanted_head(read_photo(root / file.path, HEAD)[:HEAD], file.path)
    except OSError:
        return UNREADABLE


class _Found:
    """What a listing has found so far.

    Args:
        labelled: Whether objects beside the labels' folders are left out.
    """

    def __init__(self, *, labelled: bool) -> None:
        self.objects = 0
        self.files: list[PhotoFile] = []
        self.unclear: list[PhotoFile] = []
        self._least = 2 if labelled else 1
        #: Why something was left out, by its path: a folder stands once, however much is in it.
        self._left_out: dict[str, str] = {}

    def add(self, one: StoredFile) -> None:
        self.objects += 1
        if not one.path or one.path.endswith("/"):
            return
        parts = one.path.split("/")
        for depth, name in enumerate(parts, 1):
            # A name without letters would lead elsewhere as a path.
            reason = unwanted_name(name) if name else NOT_REGULAR
            if reason is not None:
                self._left_out["/".join(parts[:depth]) + "/" * (depth < len(parts))] = reason
                return
        told = kind_by_suffix(parts[-1])
        if len(parts) < self._least:
            self._left_out[one.path] = OUTSIDE if told == PHOTO else told or NOT_A_PHOTO
        elif told == PHOTO:
            self.files.append(PhotoFile(one.path, one.size, one.version))
        elif told is not None or not one.size:
            # Each look would be a request: one .json beside each photo would double them.
            self._left_out[one.path] = told or NOT_A_PHOTO
        else:
            self.unclear.append(PhotoFile(one.path, one.size, one.version))

    def ignored(self) -> Ignored:
        ignored = Ignored()
        for path, reason in self._left_out.items():
            ignored.add(path, reason)
        return ignored
