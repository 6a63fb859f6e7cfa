"""The files to predict: those that a user names, and the photos in folders."""

from collections.abc import Iterable
from typing import NamedTuple

from tasks.decode.photo_file import DecodeResult, Photo
from tasks.decode.rejections import Reason, Rejection
from tasks.errors import DatasetError
from tasks.paths import AnyPath
from tasks.snapshot.ignored import IgnoredSummary, merge_ignored
from tasks.snapshot.walk import list_files
from tasks.storage.files import storage_at


class FoundPhotos(NamedTuple):
    """The photos at paths."""

    photos: list[Photo]  #: The files, each once, without keys.
    refused: list[DecodeResult]  #: Folders that cannot be read.
    ignored: IgnoredSummary  #: Entries of folders that were left out, by reason.


def find_photos(paths: Iterable[AnyPath]) -> FoundPhotos:
    """Find the photos at paths.

    Files are taken whatever their names, even if they are missing; of folders, all photos are taken, at any depth.
    """
    files: dict[str, int] = {}
    refused: list[DecodeResult] = []
    ignored: list[IgnoredSummary] = []
    for path in paths:
        if not _is_folder(path):
            files[str(path)] = 0
            continue
        try:
            listing = list_files(path, labelled=False)
        except DatasetError as exc:
            refused.append(DecodeResult(Photo("", str(path)), Rejection(Reason.UNREADABLE, str(exc))))
        else:
            is_fetched = storage_at(path).reads_are_requests
            files |= {str(path / file.path): file.size if is_fetched else 0 for file in listing.files}
            ignored.append(listing.summarise_ignored().below(str(path)))
    return FoundPhotos([Photo("", file, size) for file, size in files.items()], refused, merge_ignored(ignored))


def _is_folder(path: AnyPath) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False  # it is read as a file, and its row has the error
