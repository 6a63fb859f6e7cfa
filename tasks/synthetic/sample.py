"""The dataset `sample`: an archive of drawn photos, laid out as the archive of the real ones."""

import gzip
import io
import tarfile
from collections.abc import Generator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path

from tasks.errors import SettingError
from tasks.hardware import available_cores
from tasks.progress import Progress
from tasks.storage.files import publishing
from tasks.synthetic.composition import LABELS, draw_photo

#: Below so many photos, drawing takes less time than starting processes.
_FEW = 40
#: Photos that the processes draw ahead of the archive.
_BATCH = 400


def draw_sample(archive: Path, photos: int, progress: Progress) -> None:
    """Draw the dataset into a gzipped tar: `sample/<label>/<index>.jpg`.

    Photo i has the label i modulo 5 and looks the same in a sample of any size. The same number makes the same bytes.

    Args:
        archive: Path of the archive, which is published whole or not at all.
        photos: Number of photos.
        progress: Counts the photos.

    Raises:
        SettingError: The number of photos is below 1.
    """
    if photos < 1:
        raise SettingError(f"A sample of {photos} photos cannot be drawn. Give --sample-photos a number from 1 on.")
    progress.start(photos, "photos")
    indices = [index for first in range(len(LABELS)) for index in range(first, photos, len(LABELS))]
    with (
        closing(_draw(indices)) as drawn,
        publishing(archive) as temporary,
        temporary.open("wb") as file,
        # Neither a name nor a time goes into the header. JPEGs hardly shrink: the fastest level does.
        gzip.GzipFile(filename="", mode="wb", compresslevel=1, fileobj=file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for index, photo in zip(indices, drawn, strict=True):
            member = tarfile.TarInfo(f"sample/{LABELS[index % len(LABELS)]}/{index:06d}.jpg")
            member.size = len(photo)
            tar.addfile(member, io.BytesIO(photo))
            progress.advance(1)


def _draw(indices: list[int]) -> Generator[bytes]:
    """Draw photos, on all cores if there are many."""
    if len(indices) < _FEW:
        yield from map(draw_photo, indices)
        return
    # Forking is not safe beside the threads of a process that has loaded TensorFlow.
    with ProcessPoolExecutor(available_cores(), get_context("spawn")) as pool:
        for first in range(0, len(indices), _BATCH):
            yield from pool.map(draw_photo, indices[first : first + _BATCH], chunksize=5)
