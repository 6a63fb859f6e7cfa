"""Brings the bottleneck store up to date with the pictures that are wanted."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasks.bottleneck.settings import BottleneckSettings
from tasks.decode.photos import open_stores
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.storage.layout import DataRoot


class EmbedCounts(NamedTuple):
    """How many photos were embedded now and before, and the names of the shards that hold them."""

    new: int
    reused: int
    shards: tuple[str, ...]


class PendingPhotos(NamedTuple):
    """The photos to be embedded.

    Args:
        keys: Their keys.
        shards: Those that have their pictures.
        holders: The place of each one's shard among these: int64 [N].
    """

    keys: pa.Array
    shards: list[AnyPath]
    holders: npt.NDArray[np.int64]


class Wanted(NamedTuple):
    """The photos that are to have bottlenecks.

    Args:
        keys: Their keys, each once.
        pictures: How many of them the decode stage says that it has a picture of.
    """

    keys: pa.Array
    pictures: int


def embed_photos(
    wanted: Wanted, settings: BottleneckSettings, weights: AnyPath, root: DataRoot, progress: Progress
) -> EmbedCounts:
    """Compute the bottlenecks of all wanted photos that have a picture and no bottleneck yet.

    Args:
        wanted: The photos.
        settings: Which bottlenecks.
        weights: Where the backbone's weights are.
        root: Where the stores are.
        progress: Told of every photo.

    Raises:
        StoreError: The decoded store has lost pictures since, or a shard is damaged.
        BackboneError: The weights are missing, or are not those of the settings.
    """
    embed = partial(_embed, settings=settings, weights=weights, root=root, progress=progress)
    return update_store(wanted, settings, root, embed)


def update_store(
    wanted: Wanted, settings: BottleneckSettings, root: DataRoot, embed: Callable[[PendingPhotos], None]
) -> EmbedCounts:
    """Look which bottlenecks are missing, and have them made; see `embed_photos`.

    Args:
        wanted: The photos.
        settings: Which bottlenecks.
        root: Where the stores are.
        embed: Makes them; called only where any are missing.
    """
    pictures = open_stores(root, settings.decode).decoded
    pictured = pictures.search(wanted.keys)
    there = wanted.keys.filter(pa.array(pictured.found))
    pictures.check(len(there), wanted.pictures, "pictures")
    store = settings.store(root)
    store.sweep()
    embedded = store.search(there)
    missing = there.filter(pa.array(~embedded.found))
    if len(missing):
        which = pictured.found.copy()
        which[which] = ~embedded.found
        embed(PendingPhotos(missing, *pictured.holders(which)))
        embedded.look()
    return EmbedCounts(len(missing), len(there) - len(missing), tuple(shard.name for shard in embedded.shards()))


def _embed(
    missing: PendingPhotos, settings: BottleneckSettings, weights: AnyPath, root: DataRoot, progress: Progress
) -> None:
    with progress.preparing("imports"):
        from tasks.bottleneck.extract import ShardWriter, extract_bottlenecks
        from tasks.bottleneck.forward import open_forward
        from tasks.bottleneck.views import Views

    store = settings.store(root)
    forward = open_forward(settings, weights, store.folder, progress)
    progress.start(len(missing.keys), "photo")
    tables = open_stores(root, settings.decode).decoded.rows(missing.keys, ["sha256", "image"], missing.shards)
    with ShardWriter(store, settings.quantisation) as sink:
        extract_bottlenecks(tables, Views(settings.views, settings.distortion), forward, sink, progress)
