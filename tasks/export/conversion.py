"""Converts photos of formats that no export reads to PNG, so that exports are tested on them too."""

from contextlib import closing
from dataclasses import replace
from functools import partial

from tasks.decode.images import Picture
from tasks.decode.photo_file import Photo, decode_file
from tasks.decode.settings import DecodeSettings
from tasks.decode.worker_pool import work_on_photos
from tasks.export.photos import KnownPhotos
from tasks.hardware import available_cores
from tasks.paths import AnyPath

#: How much larger than an export's own pixels the converted photos are, so that it has to resize them as it does files.
_SCALE = 2


def convert_to_png(photos: KnownPhotos, folder: AnyPath, decode: DecodeSettings, max_pixels: int) -> list[bytes | None]:
    """Convert photos to PNG, in processes of their own: upright, in sRGB, the square of which an export takes its part.

    Args:
        photos: The photos.
        folder: What their paths are relative to.
        decode: How the pipeline decodes photos for the model.
        max_pixels: Pixels that a photo may have.

    Returns:
        The PNG file of each; None for one that cannot be decoded.

    Raises:
        MachineError: The object store cannot be had, or processes die before they get any work.
    """
    # With crop "centre" an export takes size / resize of a photo's short side: of the whole centred square here.
    side = _SCALE * max(decode.size, decode.resize)
    work = partial(decode_file, settings=replace(decode, size=side, resize=side, encoding="png"), max_pixels=max_pixels)
    wanted = [Photo(key, path) for key, path in zip(photos.keys, photos.paths, strict=True)]
    with closing(work_on_photos(work, wanted, folder, available_cores())) as batches:
        results = [tried.result for batch in batches for tried in batch]
    return [result.image if isinstance(result, Picture) else None for result in results]
