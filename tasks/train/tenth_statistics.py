"""Statistics of each tenth of the photos: splits and folds are unions of tenths.

Few numbers are summed up anew each time. The statistics of many are cached on disk, in a file for each tenth. Both give
the same bits.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.storage.files import local, lock_folder
from tasks.storage.tempfiles import scratch_folder
from tasks.train.photos import EmbeddedPhotos
from tasks.train.statistics import Statistics
from tasks.train.statistics_cache import read_tenth, update_cache

#: Bytes of numbers above which statistics are cached: from there on, reading them takes less time than adding them up.
MAX_SUMMED = 2**27


@dataclass(frozen=True, eq=False)
class TenthStatistics:
    """Statistics of the tenths of photos."""

    photos: EmbeddedPhotos
    cache: Path | None  #: Folder of the cached statistics; None sums them up each time.
    progress: Progress  #: Counts the photos that are summed up.

    def union(self, tenths: Iterable[int]) -> Statistics:
        """Return the statistics of some tenths together.

        Statistics that are summed up in memory are valid until the next call, which adds to them where it asks for the
        same tenths and others.
        """
        wanted = frozenset(tenths)
        done, total = next(iter(self.photos.summed.items()), (wanted, None))
        self.photos.summed.clear()
        if total is None or not done <= wanted:
            done, total = frozenset(), Statistics.empty(len(self.photos.labels), self.photos.features.shape[2])
        self.add(wanted - done, total)
        total.check()
        if self.cache is None:
            self.photos.summed[wanted] = total
        return total

    def add(self, tenths: Iterable[int], total: Statistics, sign: int = 1) -> None:
        """Add the statistics of some tenths to a total; a sign of -1 subtracts them."""
        if self.cache is not None:
            for tenth in tenths:
                read_tenth(self.cache, tenth, self.photos.labels, total, sign)
            return
        selected = self.photos.in_tenths(tenths)
        self.progress.start(int(selected.sum()), "photo")
        for block in self.photos.features.blocks(selected):
            total.add(block.numbers, self.photos.truth[block.indices], sign)
            self.progress.advance(len(block.indices))


@contextmanager
def tenth_statistics(photos: EmbeddedPhotos, folder: AnyPath | None, progress: Progress) -> Iterator[TenthStatistics]:
    """Open the statistics of photos, for as long as the block lasts.

    The folder caches the statistics of the photos' dataset; None caches none beyond the block.

    Raises:
        StoreError: A shard is damaged or gone, or the cached statistics are damaged.
        BackboneError: The numbers are too large to be summed up exactly.
    """
    if photos.features.nbytes <= MAX_SUMMED:
        yield TenthStatistics(photos, None, progress)
    elif folder is None:
        with scratch_folder("statistics") as temporary:
            yield TenthStatistics(photos, local(update_cache(temporary, photos, progress)), progress)
    else:
        # The lock is held while they are read, since another run would remove them.
        with lock_folder(folder):
            yield TenthStatistics(photos, local(update_cache(folder, photos, progress)), progress)
