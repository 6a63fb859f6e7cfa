"""Bottleneck extraction on a Ray cluster: each of its actors loads the backbone once, then embeds block after block.

A block is what one shard of pictures holds, or several small ones, so that an actor reads a shard in one go. One whose
node is lost is done again from its start, without a look at what is there, which would open every shard of the store:
the same rows in the same order make the same shard.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasks.bottleneck.extract import PHOTOS_PER_SHARD, ShardWriter, extract_bottlenecks
from tasks.bottleneck.forward import Forward, open_forward
from tasks.bottleneck.precision import check_gpus
from tasks.bottleneck.settings import BottleneckSettings
from tasks.bottleneck.update_store import EmbedCounts, PendingPhotos, Wanted, update_store
from tasks.bottleneck.views import Views
from tasks.cluster.actor import check_version
from tasks.cluster.addresses import Cluster
from tasks.cluster.client import Job, connect, text_of
from tasks.cluster.resources import rows_of_block
from tasks.decode.photos import open_stores
from tasks.hardware import find_hardware
from tasks.paths import AnyPath, to_path
from tasks.progress import NullProgress, Progress
from tasks.runtime import run_status
from tasks.storage.layout import DataRoot

#: Photos of a block at least, so that there are no more shards than that.
_LEAST = 64
#: Processors of an actor at most: each holds a network, which in int8 is small, and a program around it, which is not.
_CPUS, _INT8_CPUS = 4, 1


@dataclass(frozen=True)
class EmbedBlock:
    """What an actor does.

    Args:
        data_root: Where the stores are.
        weights: Where the backbone's weights are.
        settings: Which bottlenecks.
        key: Of the settings, on the machine that asks.
    """

    data_root: str
    weights: str
    settings: BottleneckSettings
    key: str

    def __call__(self, block: pa.Table) -> int:
        """Embed a block of photos; returns how many there were."""
        check_version(self.key, self.settings.key)
        pictures = open_stores(self._root, self.settings.decode).decoded
        shards = [pictures.folder / name for name in block.column("shard").unique().to_pylist()]
        tables = pictures.rows(block.column("sha256").combine_chunks(), ["sha256", "image"], shards)
        views = Views(self.settings.views, self.settings.distortion)
        with ShardWriter(self.settings.store(self._root), self.settings.quantisation) as sink:
            return extract_bottlenecks(tables, views, self._forward, sink, NullProgress())

    @property
    def _root(self) -> DataRoot:
        return DataRoot(to_path(self.data_root))

    @cached_property
    def _forward(self) -> Forward:
        store = self.settings.store(self._root)
        return open_forward(self.settings, to_path(self.weights), store.folder, NullProgress())


@dataclass(frozen=True)
class Embedding:
    """What is to be embedded by which network, and where the stores are.

    Args:
        root: Where the stores are.
        settings: Which bottlenecks.
        weights: Where the backbone's weights are.
    """

    root: DataRoot
    settings: BottleneckSettings
    weights: AnyPath

    def job(self) -> Job:
        """The work for a cluster."""
        work = EmbedBlock(text_of(self.root.path), text_of(self.weights), self.settings, self.settings.key)
        return Job("bottleneck", self.root.path, work)


def embed_on_cluster(wanted: Wanted, embedding: Embedding, cluster: Cluster, progress: Progress) -> EmbedCounts:
    """Compute the bottlenecks of all wanted photos that have a picture and no bottleneck yet; see `embed_photos`.

    Args:
        wanted: The photos.
        embedding: By which network, and where the stores are.
        cluster: By whom; nobody is asked where nothing is to be done.
        progress: Told of the photos of each block that is done.

    Raises:
        SettingError: GPUs are asked for that stay idle.
        MachineError: The cluster does not answer, or cannot do the work.
        StoreError: The decoded store has lost pictures since, or a shard is damaged.
        BackboneError: The weights are missing, or are not those of the settings.
    """

    def embed(missing: PendingPhotos) -> None:
        check_gpus(cluster.gpus, embedding.settings.precision, find_hardware())
        _embed(missing, embedding, cluster, progress)

    return update_store(wanted, embedding.settings, embedding.root, embed)


def _embed(missing: PendingPhotos, embedding: Embedding, cluster: Cluster, progress: Progress) -> None:
    with connect(cluster, progress) as there:
        pool = there.choose_pool(
            _INT8_CPUS if embedding.settings.precision == "int8" else _CPUS, cluster.gpus, progress
        )
        photos = len(missing.keys)
        blocks = list(_blocks(missing, rows_of_block(photos, pool.actors, PHOTOS_PER_SHARD, _LEAST)))
        progress.start(photos, "photo")
        for count in there.results(embedding.job(), blocks, pool):
            run_status.count_published(count * embedding.settings.all_views)
            progress.advance(count)


def _blocks(missing: PendingPhotos, rows: int) -> Iterator[pa.Table]:
    """Cut the photos into blocks: those of a shard stay together, as far as they are not too many."""
    names = pa.array([shard.name for shard in missing.shards], pa.string())
    order = np.argsort(missing.holders, kind="stable")
    for start, end in _cuts(np.bincount(missing.holders, minlength=len(names)), rows):
        places = pa.array(order[start:end])
        held = names.take(pa.array(missing.holders[order[start:end]]))
        yield pa.table({"sha256": missing.keys.take(places), "shard": held})


def _cuts(sizes: npt.NDArray[np.int64], rows: int) -> Iterator[tuple[int, int]]:
    """Where blocks of at most so many rows begin and end; the rows lie in parts of these sizes, one after the other."""
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
