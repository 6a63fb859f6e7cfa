"""Decodes on a Ray cluster: each actor decodes one block of photos after the other and publishes its rows.

The driver looks up once which photos are decoded already, since each lookup opens every shard of the store. A block
whose node is lost is decoded again from its start. That gives the same rows in the same order, so a shard that was
published before is replaced by an identical one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from tasks.cluster.actor import Job, check_folder, check_version
from tasks.cluster.addresses import Cluster
from tasks.cluster.client import connect
from tasks.cluster.resources import rows_of_block
from tasks.decode.photos import ROWS_PER_SHARD, DecodeCounts, DecodeStores, decode_untried, find_untried, open_stores
from tasks.decode.settings import DecodeSettings
from tasks.paths import to_path
from tasks.progress import NullProgress, Progress
from tasks.runtime import run_status
from tasks.storage.layout import DataRoot

#: Fewest photos of a block, so that each process gets a batch and shards stay few.
_LEAST = 64
_COLUMNS = ("sha256", "path", "bytes", "too_large")


@dataclass(frozen=True)
class DecodeBlock:
    """The work of an actor: decodes a block of photos."""

    data_root: str  #: Data root with the stores, as `text_of` writes it.
    folder: str  #: Folder of the photos' paths, likewise.
    settings: DecodeSettings  #: How to decode the photos.
    key: str  #: Key of the settings as the driver computes it.
    max_pixels: int  #: Largest number of pixels of a photo.

    def __call__(self, block: pa.Table) -> DecodeCounts:
        """Decode a block of photos."""
        check_version(self.key, self.settings.key)
        folder = to_path(self.folder)
        check_folder(folder)
        return decode_untried(block, folder, self.stores(), NullProgress(), self.max_pixels)

    def stores(self) -> DecodeStores:
        """Open the stores of the settings."""
        return open_stores(DataRoot(to_path(self.data_root)), self.settings)


def decode_on_cluster(photos: pa.Table, work: DecodeBlock, cluster: Cluster, progress: Progress) -> DecodeCounts:
    """Decode the photos that are in neither store on a cluster, which is not contacted if there are none.

    The photos have the columns `sha256` (unique), `path` and `bytes`. Progress advances after each block.

    Raises:
        MachineError: The cluster does not answer, or cannot do the work.
        StoreError: A shard is damaged or of another version.
    """
    untried, others = find_untried(photos, work.stores())
    counts = sum(_decode(untried.select(_COLUMNS), work, cluster, progress), others) if untried.num_rows else others
    return replace(counts, skipped=tuple(sorted(counts.skipped)))


def _decode(photos: pa.Table, work: DecodeBlock, cluster: Cluster, progress: Progress) -> Iterator[DecodeCounts]:
    job = Job("decode", work.data_root, work)
    with connect(cluster, progress) as there:
        # An actor has one core, since its worker processes start anew for each block.
        pool = there.choose_pool(1, 0, progress)
        rows = rows_of_block(photos.num_rows, pool.actors, ROWS_PER_SHARD, _LEAST)
        progress.start(photos.num_rows, "photos")
        for counts in there.results(job, cut(photos, rows), pool):
            run_status.count_published(counts.new + counts.rejected)
            progress.advance(counts.new + counts.rejected + counts.rejected_before + len(counts.skipped))
            yield counts


def cut(photos: pa.Table, rows: int) -> list[pa.Table]:
    """Cut photos into blocks of so many rows. Blocks are copies, since a slice of a table is pickled with all of it."""
    places = pa.array(np.arange(photos.num_rows))
    return [photos.take(places[start : start + rows]) for start in range(0, len(places), rows)]
