"""Hashes and decodes photos, in the processes that decode; the decode stage knows the hashes already."""

from collections.abc import Sequence
from pathlib import Path

from tasks.decode.images import Picture
from tasks.decode.photo_file import DecodeResult, Photo, decode_file
from tasks.decode.rejections import unread
from tasks.decode.settings import DecodeSettings
from tasks.snapshot.photo_io import photo_sha256


def hash_and_decode(photo: Photo, *, folder: Path, settings: Sequence[DecodeSettings]) -> DecodeResult:
    """Hash a photo unless its key is known, and decode it with each of the settings.

    Returns:
        The result with the photo's key, which stays empty if the file cannot be read. If decoding with one of the
        settings fails, there is no picture.
    """
    if not photo.sha256:
        try:
            photo = photo._replace(sha256=photo_sha256(folder / photo.path))
        except OSError as exc:
            return DecodeResult(photo, unread(exc))
    pictures: list[Picture] = []
    for each in settings:
        decoded = decode_file(photo, folder=folder, settings=each)
        if not isinstance(decoded.result, Picture):
            return decoded
        pictures.append(decoded.result)
    return DecodeResult(photo, pictures[0], tuple(pictures[1:]))
