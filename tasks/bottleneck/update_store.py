"""Computes the bottlenecks that the store lacks."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasks.bottleneck.settings import BottleneckSettings
from tasks.decode.photos import open_stores
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.storage.layout import DataRoot


class WantedPhotos(NamedTuple):
    """The photos that should have bottlenecks."""

    keys: pa.Array  #: Their keys, each once.
    pictures: int  #: Number of them with a picture, according to the decode stage.


class PendingPhotos(NamedTuple):
    """The photos that have a picture and no bottleneck yet."""

    keys: pa.Array  #: Their keys, N.
    shards: list[AnyPath]  #: The shards with their pictures.
    holders: npt.NDArray[np.int64]  #: Index in `shards` of each photo's shard: int64 [N].


class EmbedInputs(NamedTuple):
    """The bottlenecks to compute."""

    root: DataRoot  #: The data root.
    settings: BottleneckSettings  #: The settings of the bottlenecks.
    weights: AnyPath  #: Path of the backbone's weights.


class EmbedCounts(NamedTuple):
    """Number of photos that were embedded now and before, and the names of the shards that hold them."""

    new: int
    reused: int
    shards: tuple[str, ...]


def embed_photos(wanted: WantedPhotos, inputs: EmbedInputs, progress: Progress) -> EmbedCounts:
    """Compute the bottlenecks of all wanted photos that have a picture and no bottleneck yet.

    Raises:
        StoreError: The decoded store has lost pictures, or a shard is damaged.
        BackboneError: The weights are missing or have changed.
    """
    return update_store(wanted, inputs, lambda pending: _embed(pending, inputs, progress))


def update_store(wanted: WantedPhotos, inputs: EmbedInputs, embed: Callable[[PendingPhotos], None]) -> EmbedCounts:
    """Find the photos without bottlenecks, and call `embed` if there are any; see `embed_photos`."""
    pictures = open_stores(inputs.root, inputs.settings.decode).decoded
    pictured = pictures.search(wanted.keys)
    there = wanted.keys.filter(pa.array(pictured.found))
    pictures.check(len(there), wanted.pictures, "pictures")
    store = inputs.settings.store(inputs.root)
    store.sweep()
    embedded = store.search(there)
    missing = there.filter(pa.array(~embedded.found))
    if len(missing):
        pending = pictured.found.copy()
        pending[pending] = ~embedded.found
        embed(PendingPhotos(missing, *pictured.holders(pending)))
        embedded.update()
    return EmbedCounts(len(missing), len(there) - len(missing), tuple(shard.name for shard in embedded.shards()))


def _embed(pending: PendingPhotos, inputs: EmbedInputs, progress: Progress) -> None:
    with progress.preparing("imports"):
        from tasks.bottleneck.extract import embed_pictures
        from tasks.bottleneck.forward import open_forward

    root, settings, weights = inputs
    forward = open_forward(settings, weights, settings.store(root).folder, progress)
    progress.start(len(pending.keys), "photo")
    pictures = open_stores(root, settings.decode).decoded.rows(pending.keys, ["sha256", "image"], pending.shards)
    embed_pictures(pictures, settings, root, forward, progress)
