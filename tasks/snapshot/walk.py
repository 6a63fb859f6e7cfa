"""Which files of a dataset are photos: a walk over `<label>/**/<file>` that opens those without a photo's suffix."""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from tasks.errors import DatasetError
from tasks.file_types import HEAD
from tasks.paths import AnyPath, file_version, is_remote
from tasks.snapshot.ignored import LINKED_FOLDER, NOT_A_PHOTO, NOT_REGULAR, OUTSIDE, RAW_PHOTO, UNREADABLE, Ignored
from tasks.snapshot.ignored_names import unwanted_name
from tasks.snapshot.listing import PHOTO, Listing, PhotoFile, by_path, fingerprint_rows, kind_by_suffix, unwanted_head
from tasks.snapshot.object_walk import list_objects, look_into
from tasks.snapshot.photo_io import read_head

__all__ = ["Listing", "PhotoFile", "fingerprint_rows", "list_files", "list_unread"]


def list_files(root: AnyPath, *, labelled: bool = True) -> Listing:
    """List the photos below a folder, such as a dataset's.

    Links to files are followed, and a label may be a link to a folder; linked folders deeper down are left out, since
    they may lead in a circle. A file is a photo by its suffix, or else by its first bytes. On an object store, where
    each look is a request, a well-known suffix of other files (.txt, .json, .mp4) is believed.

    Args:
        root: The folder.
        labelled: Whether each photo must be in a label's folder; otherwise those beside the folders count too.

    Raises:
        DatasetError: The folder is missing or is none, or a folder below it cannot be read.
    """
    return look_into(root, list_unread(root, labelled=labelled))


def list_unread(root: AnyPath, *, labelled: bool = True) -> Listing:
    """List photos as `list_files` does, but read nothing of any object: the state of the listing is the same.

    Raises:
        DatasetError: As of `list_files`.
    """
    # A walk may read files, which costs a request each on an object store: two ways to list.
    return list_objects(root, labelled=labelled) if is_remote(root) else _walk(root, labelled=labelled)


def _walk(root: Path, *, labelled: bool) -> Listing:
    found = _Found(labelled)
    while found.folders:
        folder = found.folders.pop()
        try:
            with os.scandir(f"{root}/{folder}") as entries:
                for entry in entries:
                    found.add(entry, folder)
        except (FileNotFoundError, NotADirectoryError) as exc:
            if not folder:
                raise DatasetError(
                    f"There is no folder of photos at {root} ({exc.strerror}). "
                    f"Give a folder that holds {'one folder a label' if labelled else 'photos'}."
                ) from exc
        except OSError as exc:
            raise DatasetError(
                f"The folder {root / folder} cannot be read ({exc.strerror}). "
                "Let this user read and enter it (chmod u+rx), or move it out of the dataset."
            ) from exc
    return Listing(by_path(found.files), found.ignored)


@dataclass
class _Found:
    """What a walk has found so far.

    Args:
        labelled: Whether files beside the labels' folders are left out.
        files: The photos.
        ignored: Entries left out, by reason.
        folders: Those still to be read: the root as "", all others with a `/` at their end.
    """

    labelled: bool = True
    files: list[PhotoFile] = field(default_factory=list)
    ignored: Ignored = field(default_factory=Ignored)
    folders: list[str] = field(default_factory=lambda: [""])

    def add(self, entry: os.DirEntry[str], folder: str) -> None:
        reason = unwanted_name(entry.name)
        if reason is None:
            status = _follow(entry)
            if status is None:
                # A broken link; any other entry without a status vanished since the folder was read.
                reason = NOT_REGULAR if entry.is_symlink() else None
            elif stat.S_ISDIR(status.st_mode):
                reason = self._enter(entry, folder)
            else:
                outside = self.labelled and not folder
                reason = _unwanted_file(entry, status, outside=outside)
                if reason is None:
                    changed_ns = max(status.st_mtime_ns, status.st_ctime_ns)
                    self.files.append(PhotoFile(folder + entry.name, status.st_size, file_version(status), changed_ns))
        if reason is not None:
            is_folder = reason == LINKED_FOLDER or _is_folder(entry)
            self.ignored.add(f"{folder}{entry.name}{'/' if is_folder else ''}", reason)

    def _enter(self, entry: os.DirEntry[str], folder: str) -> str | None:
        if (folder or not self.labelled) and entry.is_symlink():
            return LINKED_FOLDER
        self.folders.append(f"{folder}{entry.name}/")
        return None


def _follow(entry: os.DirEntry[str]) -> os.stat_result | None:
    """Status of what an entry is or links to; None where that is not there."""
    try:
        return entry.stat()
    except FileNotFoundError:
        return None
    except OSError:
        if entry.is_symlink():
            return None
        raise


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder itself; it is not asked where a link leads, which may be a server that is away."""
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _unwanted_file(entry: os.DirEntry[str], status: os.stat_result, *, outside: bool) -> str | None:
    if not stat.S_ISREG(status.st_mode):
        return NOT_REGULAR
    told = kind_by_suffix(entry.name)
    if outside:
        return OUTSIDE if told == PHOTO else told or NOT_A_PHOTO
    if told == PHOTO:
        return None
    if told == RAW_PHOTO:
        return told
    try:
        return unwanted_head(read_head(entry.path, HEAD), entry.name)
    except OSError:
        return UNREADABLE
