"""Which files are to be predicted: those that a user names, and the photos in folders."""

from collections.abc import Iterable
from typing import NamedTuple

from tasks.decode.photo_file import DecodeResult, Photo
from tasks.decode.rejections import Reason, Rejection
from tasks.errors import DatasetError
from tasks.paths import AnyPath
from tasks.snapshot.ignored import IgnoredSummary, merge_ignored
from tasks.snapshot.listing import Listing
from tasks.snapshot.walk import list_files
from tasks.storage.files import storage_at


class Found(NamedTuple):
    """What paths lead to.

    Args:
        photos: The files, each once, without keys.
        refused: Folders that cannot be read.
        ignored: Entries of folders that were left out, by reason.
    """

    photos: list[Photo]
    refused: list[DecodeResult]
    ignored: IgnoredSummary


def find_photos(paths: Iterable[AnyPath]) -> Found:
    """Find the files that paths lead to.

    Args:
        paths: A file is taken whatever its name, and whether it is there or not; of a folder, the photos in it, at any
            depth.
    """
    files: dict[str, int] = {}
    refused: list[DecodeResult] = []
    ignored: list[IgnoredSummary] = []
    for path in paths:
        if not _is_folder(path):
            files[str(path)] = 0
            continue
        try:
            listing = list_photos(path)
        except DatasetError as exc:
            refused.append(DecodeResult(Photo("", str(path)), Rejection(Reason.UNREADABLE, str(exc))))
        else:
            is_fetched = storage_at(path).reads_are_requests
            files |= {str(path / file.path): file.size if is_fetched else 0 for file in listing.files}
            ignored.append(listing.summarise_ignored().below(str(path)))
    return Found([Photo("", file, size) for file, size in files.items()], refused, merge_ignored(ignored))


def list_photos(folder: AnyPath) -> Listing:
    """List the photos in a folder and below, by the rules of the snapshot stage; linked folders are left out.

    Raises:
        DatasetError: The folder is missing or is none, or a folder below it cannot be read.
    """
    return list_files(folder, labelled=False)


def _is_folder(path: AnyPath) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False  # it is tried as a file, and its row says what is wrong
