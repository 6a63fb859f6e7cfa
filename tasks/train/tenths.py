"""Statistics of each tenth of the photos: splits and folds are unions of tenths.

Where the numbers are few, they are summed up anew each time. Where they are many, the statistics are kept on disk, in a
file for each tenth, and brought up to date: the new photos are added, those that are gone are subtracted. Both give the
same bits.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.storage.files import local
from tasks.storage.locks import lock_folder
from tasks.storage.tempfiles import scratch_folder
from tasks.train.kept_statistics import bring_up_to_date, read_tenth
from tasks.train.photos import EmbeddedPhotos
from tasks.train.statistics import Statistics

#: Bytes of numbers above which statistics are kept: from there on, to read them takes less time than to sum them up.
MOST_SUMMED = 2**27


class TenthStatistics(ABC):
    """Statistics of the tenths of photos, of which unions are wanted."""

    def __init__(self, photos: EmbeddedPhotos) -> None:
        self._photos = photos

    @abstractmethod
    def add(self, tenths: Iterable[int], into: Statistics, sign: int = 1) -> None:
        """Add the statistics of some tenths to others; a sign of -1 subtracts them."""

    def union(self, tenths: Iterable[int]) -> Statistics:
        """The statistics of some tenths together."""
        found = Statistics.none(len(self._photos.labels), self._photos.features.shape[2])
        self.add(tenths, found)
        found.check()
        return found


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
        with lock_folder(folder):
            yield _Kept(photos, local(bring_up_to_date(folder, photos, progress)))


class _Summed(TenthStatistics):
    """Statistics that are summed up each time they are asked for."""

    def __init__(self, photos: EmbeddedPhotos, progress: Progress) -> None:
        super().__init__(photos)
        self._progress = progress

    def add(self, tenths: Iterable[int], into: Statistics, sign: int = 1) -> None:
        photos = self._photos
        which = photos.in_tenths(tenths)
        self._progress.start(int(which.sum()), "photo")
        for block in photos.features.blocks(which):
            into.add(block.numbers, photos.truth[block.places], sign)
            self._progress.advance(len(block.places))


class _Kept(TenthStatistics):
    """Statistics that are read from a folder each time they are asked for."""

    def __init__(self, photos: EmbeddedPhotos, folder: Path) -> None:
        super().__init__(photos)
        self._folder = folder

    def add(self, tenths: Iterable[int], into: Statistics, sign: int = 1) -> None:
        for tenth in tenths:
            read_tenth(self._folder, tenth, self._photos.labels, into, sign)
