"""Statistics of each tenth of the photos: splits and folds are unions of tenths."""

from collections.abc import Iterable

from tasks.progress import Progress
from tasks.train.features import Block
from tasks.train.photos import EmbeddedPhotos
from tasks.train.statistics import Statistics, statistics_of


class TenthStatistics:
    """Statistics of the tenths of photos, summed up from their bottlenecks each time they are asked for.

    Args:
        photos: The photos.
        progress: Told of every photo that is summed up.
    """

    def __init__(self, photos: EmbeddedPhotos, progress: Progress) -> None:
        self._photos, self._progress = photos, progress

    def union(self, tenths: Iterable[int]) -> Statistics:
        """The statistics of some tenths together.

        Raises:
            StoreError: A shard is damaged or gone.
            BackboneError: The numbers are too large to be summed up exactly.
        """
        photos = self._photos
        which = photos.in_tenths(tenths)
        self._progress.start(int(which.sum()), "photo")

        def told() -> Iterable[Block]:
            for block in photos.features.blocks(which):
                yield block
                self._progress.advance(len(block.places))

        return statistics_of(told(), photos.truth, len(photos.labels), photos.features.shape[2])
