"""Bottleneck extraction on a Ray cluster: each actor loads the backbone once, then embeds one block after the other.

A block holds the photos of one shard of pictures, or of several small ones, so that an actor reads a whole shard. If a
node is lost, its block is done again from the start, without a look at the store, which would open every shard: the
same rows in the same order make the same shard.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasks.bottleneck.extract import PHOTOS_PER_SHARD, embed_pictures
from tasks.bottleneck.forward import Forward, open_forward
from tasks.bottleneck.precision import check_gpus
from tasks.bottleneck.settings import BottleneckSettings
from tasks.bottleneck.update_store import EmbedCounts, EmbedInputs, PendingPhotos, WantedPhotos, update_store
from tasks.cluster.actor import Job, check_version
from tasks.cluster.addresses import Cluster
from tasks.cluster.client import connect, text_of
from tasks.cluster.resources import rows_of_block
from tasks.decode.photos import open_stores
from tasks.hardware import find_hardware
from tasks.paths import to_path
from tasks.progress import NullProgress, Progress
from tasks.runtime import run_status
from tasks.storage.layout import DataRoot

#: Smallest number of photos in a block, since each block makes a shard.
_MIN_ROWS = 64
#: Processors of an actor. Each holds a network, which is small in int8, and a program, which is not.
_CPUS, _INT8_CPUS = 4, 1


@dataclass(frozen=True)
class EmbedBlock:
    """The work of an actor; it is pickled."""

    data_root: str
    weights: str  #: Path of the backbone's weights.
    settings: BottleneckSettings  #: The settings of the bottlenecks.
    key: str  #: Key of the settings on the machine of the driver.

    def __call__(self, block: pa.Table) -> int:
        """Embed a block of photos; returns how many there are."""
        check_version(self.key, self.settings.key)
        store = open_stores(self._root, self.settings.decode).decoded
        shards = [store.folder / name for name in block.column("shard").unique().to_pylist()]
        pictures = store.rows(block.column("sha256").combine_chunks(), ["sha256", "image"], shards)
        return embed_pictures(pictures, self.settings, self._root, self._forward, NullProgress())

    @property
    def _root(self) -> DataRoot:
        return DataRoot(to_path(self.data_root))

    @cached_property
    def _forward(self) -> Forward:
        folder = self.settings.store(self._root).folder
        return open_forward(self.settings, to_path(self.weights), folder, NullProgress())


def embedding_job(inputs: EmbedInputs) -> Job:
    """Return the work for a cluster."""
    root, settings, weights = inputs
    data_root = text_of(root.path)
    return Job("bottleneck", data_root, EmbedBlock(data_root, text_of(weights), settings, settings.key))


def embed_on_cluster(wanted: WantedPhotos, inputs: EmbedInputs, cluster: Cluster, progress: Progress) -> EmbedCounts:
    """Compute the bottlenecks of all wanted photos that have a picture and no bottleneck yet; see `embed_photos`.

    The cluster is contacted only if bottlenecks are missing.

    Raises:
        SettingError: The GPUs of the actors do not go with the precision.
        MachineError: The cluster does not answer, or cannot do the work.
        StoreError: The decoded store has lost pictures, or a shard is damaged.
        BackboneError: The weights are missing or have changed.
    """

    def embed(pending: PendingPhotos) -> None:
        settings = inputs.settings
        check_gpus(cluster.gpus, settings.precision, settings.backbone, find_hardware())
        _embed(pending, inputs, cluster, progress)

    return update_store(wanted, inputs, embed)


def _embed(pending: PendingPhotos, inputs: EmbedInputs, cluster: Cluster, progress: Progress) -> None:
    with connect(cluster, progress) as there:
        pool = there.choose_pool(_INT8_CPUS if inputs.settings.precision == "int8" else _CPUS, cluster.gpus, progress)
        photos = len(pending.keys)
        blocks = list(_blocks(pending, rows_of_block(photos, pool.actors, PHOTOS_PER_SHARD, _MIN_ROWS)))
        progress.start(photos, "photo")
        for count in there.results(embedding_job(inputs), blocks, pool):
            run_status.count_published(count * inputs.settings.all_views)
            progress.advance(count)


def _blocks(pending: PendingPhotos, rows: int) -> Iterator[pa.Table]:
    """Cut the photos into blocks of at most `rows`; the photos of a shard stay together unless they are more."""
    names = pa.array([shard.name for shard in pending.shards], pa.string())
    order = np.argsort(pending.holders, kind="stable")
    for start, end in _block_bounds(np.bincount(pending.holders, minlength=len(names)), rows):
        places = order[start:end]
        shards = names.take(pa.array(pending.holders[places]))
        yield pa.table({"sha256": pending.keys.take(pa.array(places)), "shard": shards})


def _block_bounds(sizes: npt.NDArray[np.int64], rows: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of blocks of at most `rows` rows, which lie shard after shard; `sizes`: rows of each."""
    start = end = 0
    for size in sizes.tolist():
        if end > start and end + size - start > rows:
            yield start, end
            start = end
        end += size
        while end - start > rows:
            yield start, start + rows
            start += rows
    if end > start:
        yield start, end
