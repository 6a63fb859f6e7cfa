"""Walks: which files below a folder `<label>/**/<file>`, or objects of a store, are photos."""

import errno
import os
import stat
from collections.abc import Container
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.concurrency import map_ordered
from tasks.errors import DatasetError
from tasks.file_types import HEAD
from tasks.paths import AnyPath, file_version, is_remote
from tasks.snapshot import photo_rules as rules
from tasks.snapshot.ignored import Ignored
from tasks.snapshot.listing import Listing, PhotoFile
from tasks.snapshot.parquet.row_paths import is_parquet
from tasks.snapshot.photo_io import read_head, read_photo
from tasks.storage.object_store import PARALLEL_REQUESTS
from tasks.storage.protocol import StoredFile
from tasks.storage.remote_listing import StoreUnreachableError, objects_below, version

if TYPE_CHECKING:
    from upath import UPath


def list_files(root: AnyPath, *, labelled: bool = True) -> Listing:
    """List the photos below a folder, such as a dataset's.

    Links to files are followed, and a label may be a link to a folder; linked folders deeper down are ignored, since
    they may lead in a circle. A file is a photo by its suffix, or else by its first bytes. On an object store, where
    each read is a request, files with a well-known suffix (.txt, .json, .mp4) are not read.

    Args:
        root: The folder.
        labelled: Whether each photo must be in a label's folder; otherwise photos directly in the root count too.

    Raises:
        DatasetError: The folder is missing or is a file, a folder below it cannot be read, or the store is unreachable.
    """
    listing = list_unread(root, labelled=labelled)
    return read_unclear(root, listing.inside_folders() if labelled else listing).settle()


def list_unread(root: AnyPath, *, labelled: bool = True, by_table: bool = False) -> Listing:
    """List photos as `list_files` does, but read nothing of any object: the state of the listing is the same.

    With `by_table`, or if there are files that may be tables of labels, photos directly in the root count too.
    """
    found = _Found(labelled)
    # A walk may read files, which costs a request each on an object store: two ways to list.
    if is_remote(root):
        _list_objects(root, found)
    else:
        _walk(root, found)
    listing = found.listing()
    return listing if by_table or listing.label_tables or not labelled else listing.inside_folders()


def read_unclear(root: AnyPath, listing: Listing, known: Container[PhotoFile] = ()) -> Listing:
    """Read the first bytes of the unclear objects of a listing, but for those that are known to be photos.

    Returns:
        The listing with all photos; `unclear` holds the other objects, which are counted as ignored.

    Raises:
        DatasetError: The store is unreachable.
    """
    if not listing.unclear:
        return listing
    files, others, ignored = list(listing.files), [], deepcopy(listing.ignored)
    try:
        reasons = map_ordered(partial(_read_object, root, known), listing.unclear, PARALLEL_REQUESTS)
        for file, reason in zip(listing.unclear, reasons, strict=True):
            if reason is None:
                files.append(file)
            else:
                others.append(file)
                ignored.add(file.path, reason)
    except StoreUnreachableError as exc:
        raise unreachable_store(exc) from exc
    return replace(listing, files=tuple(sorted(files)), ignored=ignored, unclear=tuple(sorted(others)))


def unreachable_store(exc: StoreUnreachableError) -> DatasetError:
    """Make the error for photos whose object store is unreachable."""
    return DatasetError(
        f"The photos at {exc.address} cannot be read ({exc.why}). Check the address, the credentials and the network, "
        "and run again."
    )


def _missing(root: AnyPath, why: str | None, *, labelled: bool) -> DatasetError:
    return DatasetError(
        f"There is no folder of photos at {root} ({why}). "
        f"Give a folder that holds {'one folder a label' if labelled else 'photos'}."
    )


@dataclass
class _Found:
    """Photos and ignored entries that a walk has found so far."""

    labelled: bool  #: Whether the first folders may be labels.
    files: list[PhotoFile] = field(default_factory=list)  #: The photos.
    unclear: list[PhotoFile] = field(default_factory=list)  #: Objects whose names do not tell their kind.
    ignored: Ignored = field(default_factory=Ignored)  #: Ignored entries, by reason.
    label_tables: list[PhotoFile] = field(default_factory=list)  #: Files that may be tables of labels.
    parquet_files: list[PhotoFile] = field(default_factory=list)  #: Other Parquet files.

    def listing(self) -> Listing:
        found = (self.files, self.unclear, self.label_tables, self.parquet_files)
        files, unclear, tables, parquet = (tuple(sorted(each)) for each in found)
        return Listing(files, self.ignored, unclear, tables, parquet)

    def is_table(self, path: str) -> bool:
        return self.labelled and rules.is_label_table(path)


def _walk(root: Path, found: _Found) -> None:
    # The root is "", all others have a `/` at their end.
    folders = [""]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(f"{root}/{folder}") as entries:
                folders.extend(f"{folder}{entry.name}/" for entry in entries if _add_entry(found, entry, folder))
        except (FileNotFoundError, NotADirectoryError) as exc:
            if not folder and is_parquet(root.name) and root.is_file():
                found.parquet_files.append(_file_at(root.name, root.stat()))
            elif not folder:
                raise _missing(root, exc.strerror, labelled=found.labelled) from exc
        except OSError as exc:
            raise DatasetError(
                f"The folder {root / folder} cannot be read ({exc.strerror}). "
                "Let this user read and enter it (chmod u+rx), or move it out of the dataset."
            ) from exc


def _add_entry(found: _Found, entry: os.DirEntry[str], folder: str) -> bool:
    """Add an entry of a folder; returns whether it is a folder that has to be read."""
    path = folder + entry.name
    reason = rules.ignored_by_name(entry.name)
    if reason is None:
        status = _follow(entry)
        if status is None:
            # A broken link; any other entry without a status vanished since the folder was read.
            reason = rules.NOT_REGULAR if entry.is_symlink() else None
        elif not stat.S_ISDIR(status.st_mode):
            reason = _add_file(found, entry, status, path)
        elif (folder or not found.labelled) and entry.is_symlink():
            reason = rules.LINKED_FOLDER
        else:
            return True
    if reason is not None:
        found.ignored.add(f"{path}/" if reason == rules.LINKED_FOLDER or _is_folder(entry) else path, reason)
    return False


def _follow(entry: os.DirEntry[str]) -> os.stat_result | None:
    """Status of an entry, or of the target of a link; None if it is missing."""
    try:
        return entry.stat()
    except OSError as exc:
        if isinstance(exc, FileNotFoundError) or entry.is_symlink():
            return None
        raise


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry itself is a folder; a link is not followed, since its server may not answer."""
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _add_file(found: _Found, entry: os.DirEntry[str], status: os.stat_result, path: str) -> str | None:
    """Add a photo or a Parquet file; returns the reason to ignore any other file."""
    reason = _ignored_file(found, entry, status, path)
    if is_rows := reason == rules.NOT_A_PHOTO and is_parquet(path):
        reason = None
    if reason is None:
        own = found.parquet_files if is_rows else found.label_tables if found.is_table(path) else found.files
        own.append(_file_at(path, status))
    return reason


def _file_at(path: str, status: os.stat_result) -> PhotoFile:
    return PhotoFile(path, status.st_size, file_version(status), max(status.st_mtime_ns, status.st_ctime_ns))


def _ignored_file(found: _Found, entry: os.DirEntry[str], status: os.stat_result, path: str) -> str | None:
    if not stat.S_ISREG(status.st_mode):
        return rules.NOT_REGULAR
    kind = rules.kind_by_suffix(path)
    if kind == rules.RAW_PHOTO:
        return kind
    if kind != rules.PHOTO and not found.is_table(path):
        try:
            return rules.ignored_by_head(read_head(entry.path, HEAD), entry.name)
        except OSError:
            return rules.UNREADABLE
    return None


def _list_objects(root: "UPath", found: _Found) -> None:
    ignored, count = dict[str, str](), 0
    try:
        for count, remote in enumerate(objects_below(root), 1):  # noqa: B007 (used below)
            # Objects that only show a folder are no files.
            if remote.path and not remote.path.endswith("/"):
                _add_object(found, ignored, remote)
    except StoreUnreachableError as exc:
        raise unreachable_store(exc) from exc
    if not count:
        is_file = root.is_file()
        if is_file and is_parquet(root.name):
            found.parquet_files.append(_object_at(root))
            return
        why = "it is a file" if is_file else "nothing is there"
        raise _missing(root, why, labelled=found.labelled) from FileNotFoundError(errno.ENOENT, why)
    for path, reason in ignored.items():
        found.ignored.add(path, reason)


def _object_at(path: "UPath") -> PhotoFile:
    return PhotoFile(path.name, int(path.stat().st_size), version(path))


def _add_object(found: _Found, ignored: dict[str, str], remote: StoredFile) -> None:
    """Add a photo or an unclear object, or else the path to ignore, its own or that of a folder, with the reason."""
    parts = remote.path.split("/")
    for depth, name in enumerate(parts, 1):
        # As a path, an empty name would lead elsewhere.
        if reason := rules.ignored_by_name(name) if name else rules.NOT_REGULAR:
            ignored["/".join(parts[:depth]) + "/" * (depth < len(parts))] = reason
            return
    kind = rules.kind_by_suffix(remote.path)
    if found.is_table(remote.path):
        found.label_tables.append(PhotoFile(remote.path, remote.size, remote.version))
    elif is_parquet(remote.path):
        found.parquet_files.append(PhotoFile(remote.path, remote.size, remote.version))
    elif kind == rules.PHOTO or (kind is None and remote.size):
        files = found.files if kind == rules.PHOTO else found.unclear
        files.append(PhotoFile(remote.path, remote.size, remote.version))
    else:
        # Not read: that would double the requests where a .json lies beside each photo.
        ignored[remote.path] = kind or rules.NOT_A_PHOTO


def _read_object(root: AnyPath, known: Container[PhotoFile], file: PhotoFile) -> str | None:
    if file in known:
        return None
    try:
        return rules.ignored_by_head(read_photo(root / file.path, HEAD)[:HEAD], file.path)
    except OSError:
        return rules.UNREADABLE
