"""Photos from outside -> pictures, for the processes that decode: as the decode stage, but of files without a key."""

from collections.abc import Sequence
from pathlib import Path

from tasks.decode.images import Picture
from tasks.decode.photo_file import DecodeResult, Photo, decode_file
from tasks.decode.rejections import Reason, Rejection
from tasks.decode.settings import DecodeSettings
from tasks.snapshot.photo_io import photo_sha256


def hash_and_decode(photo: Photo, *, folder: Path, settings: Sequence[DecodeSettings]) -> DecodeResult:
    """Read a photo, and decode it by each of the settings.

    Args:
        photo: The photo; its key is empty if it is not known yet.
        folder: Folder of the photo's path.
        settings: How to decode the photo.

    Returns:
        The result with the photo's key, which stays empty if the file cannot be read. A photo that cannot be decoded by
        all of the settings has no picture.
    """
    if not photo.sha256:
        digest = _digest(folder / photo.path)
        if isinstance(digest, Rejection):
            return DecodeResult(photo, digest)
        photo = photo._replace(sha256=digest)
    pictures: list[Picture] = []
    for each in settings:
        tried = decode_file(photo, folder=folder, settings=each)
        if not isinstance(tried.result, Picture):
            return tried
        pictures.append(tried.result)
    return DecodeResult(photo, pictures[0], tuple(pictures[1:]))


def _digest(path: Path) -> str | Rejection:
    try:
        return photo_sha256(path)
    except (FileNotFoundError, NotADirectoryError):
        return Rejection(Reason.VANISHED, "There is no such file. Check its path.")
    except OSError as exc:
        return Rejection(Reason.UNREADABLE, f"The file cannot be read ({exc.strerror}). Mend that and run again.")
