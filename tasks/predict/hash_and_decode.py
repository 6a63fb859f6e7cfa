"""Photos from outside -> pictures, for the processes that decode: as the decode stage, but of files without a key."""

from collections.abc import Sequence
from pathlib import Path

from tasks.decode.images import Picture
from tasks.decode.rejections import Reason, Rejection
from tasks.decode.settings import DecodeSettings
from tasks.decode.workers import DecodeResult, Photo, decode_files
from tasks.snapshot.photo_io import photo_sha256


def read_photos(photos: Sequence[Photo], *, folder: Path, settings: Sequence[DecodeSettings]) -> list[DecodeResult]:
    """Read and decode photos, one after the other.

    Args:
        photos: Which; the key of one that nobody has hashed yet is empty.
        folder: What their paths are relative to.
        settings: What to make of them: a picture by each.

    Returns:
        An outcome for each, in their order, with its key; the key of one that cannot be read stays empty. One of which
        any picture cannot be made has none.
    """
    return [_read(photo, folder, settings) for photo in photos]


def _read(photo: Photo, folder: Path, settings: Sequence[DecodeSettings]) -> DecodeResult:
    if not photo.sha256:
        digest = _digest(folder / photo.path)
        if isinstance(digest, Rejection):
            return DecodeResult(photo, digest)
        photo = photo._replace(sha256=digest)
    pictures: list[Picture] = []
    for each in settings:
        (tried,) = decode_files([photo], folder=folder, settings=each)
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
