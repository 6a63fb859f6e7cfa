"""Pictures of photos: from the decoded store, or from their files where no stage has decoded them."""

import io
from collections.abc import Iterable, Mapping
from functools import partial

import pyarrow as pa
from PIL import Image

from tasks.decode.images import Picture
from tasks.decode.photos import open_stores
from tasks.decode.prefetch import work_on_photos
from tasks.decode.settings import DecodeSettings
from tasks.decode.workers import Photo, decode_files
from tasks.paths import AnyPath
from tasks.storage.layout import DataRoot


def read_pictures(keys: Iterable[str], decode: DecodeSettings, root: DataRoot) -> dict[str, bytes]:
    """Read pictures from the decoded store, by the keys of their photos; those that it lacks are left out.

    Raises:
        StoreError: A shard is damaged.
    """
    wanted = pa.array(sorted(set(keys)), pa.string())
    tables = open_stores(root, decode).decoded.rows(wanted, ["sha256", "image"])
    return {row["sha256"]: row["image"]["bytes"] for table in tables for row in table.to_pylist()}


def decode_pictures(paths: Mapping[str, str], folder: AnyPath, decode: DecodeSettings) -> dict[str, bytes]:
    """Make pictures of photos' files; what cannot be read or decoded, or is another photo by now, is left out.

    Args:
        paths: Where each photo lies, relative to the folder, by its key.
        folder: The dataset's folder.
        decode: How photos become pictures.

    Returns:
        JPEG or PNG files by key.
    """
    if not paths:
        return {}
    work = partial(decode_files, settings=decode)
    tried = [
        one for batch in work_on_photos(work, [Photo(*item) for item in paths.items()], folder, 1) for one in batch
    ]
    return {one.photo.sha256: one.result.image for one in tried if isinstance(one.result, Picture)}


def shrink(picture: bytes, side: int, quality: int) -> bytes:
    """Shrink a picture to a small JPEG file.

    Args:
        picture: A JPEG or PNG file.
        side: Of the longer side in pixels.
        quality: Of the JPEG file, up to 95.
    """
    with Image.open(io.BytesIO(picture)) as opened:
        opened.draft("RGB", (side, side))
        opened.thumbnail((side, side), Image.Resampling.BILINEAR)
        buffer = io.BytesIO()
        opened.convert("RGB").save(buffer, "JPEG", quality=quality, optimize=True)
    return buffer.getvalue()
