"""Statistics of each tenth of the photos: splits and folds are unions of tenths.

Where the numbers are few, they are summed up anew each time. Where they are many, the statistics are kept on disk, in a
file for each tenth, and brought up to date: the new photos are added, those that are gone are subtracted. Both give the
same bits.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from tasks.artifacts import exclusive, local, scratch_folder
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.train.kept_statistics import bring_up_to_date, read_tenth
from tasks.train.photos import EmbeddedPhotos
from tasks.train.statistics import Statistics

#: Bytes of numbers above which statistics are kept: from there on, to read them takes less time than to sum them up.
MOST_SUMMED = 2**27


class TenthStatistics(Protocol):
    """Statistics of the tenths of photos, of which unions are wanted."""

    def union(self, tenths: Iterable[int]) -> Statistics:
        """The statistics of some tenths together."""


@contextmanager
def tenth_statistics(photos: EmbeddedPhotos, folder: AnyPath | None, progress: Progress) -> Iterator[TenthStatistics]:
    """Get the statistics of photos, for as long as the block lasts.

    Args:
        photos: The photos.
        folder: Where the statistics of the photos' dataset are kept; None keeps none beyond the block.
        progress: Told of every photo that is summed up.

    Raises:
        StoreError: A shard is damaged or gone, or the statistics that are kept are damaged.
        BackboneError: The numbers are too large to be summed up exactly.
    """
    if photos.features.nbytes <= MOST_SUMMED:
        yield _Summed(photos, progress)
    elif folder is None:
        with scratch_folder("statistics") as temporary:
            yield _Kept(photos, local(bring_up_to_date(temporary, photos, progress)))
    else:
        # The lock is held while they are read, since another run would remove them.
        with exclusive(folder):
            yield _Kept(photos, local(bring_up_to_date(folder, photos, progress)))


class _Summed:
    """Statistics that are summed up each time they are asked for."""

    def __init__(self, photos: EmbeddedPhotos, progress: Progress) -> None:
        self._photos, self._progress = photos, progress

    def union(self, tenths: Iterable[int]) -> Statistics:
        photos = self._photos
        which = photos.in_tenths(tenths)
        self._progress.start(int(which.sum()), "photo")
        found = Statistics.none(len(photos.labels), photos.features.shape[2])
        for block in photos.features.blocks(which):
            found.add(block.numbers, photos.truth[block.places])
            self._progress.advance(len(block.places))
        found.check()
        return found


class _Kept:
    """Statistics that are read from a folder each time they are asked for."""

    def __init__(self, photos: EmbeddedPhotos, folder: Path) -> None:
        self._photos, self._folder = photos, folder

    def union(self, tenths: Iterable[int]) -> Statistics:
        found = Statistics.none(len(self._photos.labels), self._photos.features.shape[2])
        for tenth in tenths:
            read_tenth(self._folder, tenth, self._photos.labels, found)
        found.check()
        return found
