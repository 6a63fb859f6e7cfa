"""Brings the bottleneck store up to date with the pictures that are wanted."""

from typing import NamedTuple

import pyarrow as pa

from tasks.artifacts import DataRoot, Manifest
from tasks.bottleneck.backbones import describe_backbone
from tasks.bottleneck.settings import BottleneckSettings
from tasks.catalog import find_backbone
from tasks.decode.photos import open_stores
from tasks.errors import BackboneError
from tasks.progress import Progress


class EmbedCounts(NamedTuple):
    """How many photos were embedded now and before, and the names of the shards that hold them."""

    new: int
    reused: int
    shards: tuple[str, ...]


def embed_photos(
    wanted: pa.Array, decoded: Manifest, settings: BottleneckSettings, root: DataRoot, progress: Progress
) -> EmbedCounts:
    """Compute the bottlenecks of all wanted photos that have a picture and no bottleneck yet.

    Args:
        wanted: Keys of the snapshot's usable photos.
        decoded: What the decode stage says that it has of them.
        settings: Which bottlenecks.
        root: Where the stores are.
        progress: Told of every photo.

    Raises:
        StoreError: The decoded store has lost pictures since, or a shard is damaged.
        BackboneError: The weights are missing, or are not those of the settings.
    """
    pictures = open_stores(root, settings.decode).decoded
    there = wanted.filter(pa.array(pictures.found(wanted)))
    pictures.check(len(there), decoded.photos, "pictures")
    store = settings.store(root)
    store.sweep()
    missing = there.filter(pa.array(~store.found(there)))
    if len(missing):
        _embed(missing, settings, root, progress)
    return EmbedCounts(len(missing), len(there) - len(missing), tuple(shard.name for shard in store.holding(there)))


def _embed(missing: pa.Array, settings: BottleneckSettings, root: DataRoot, progress: Progress) -> None:
    from tasks.bottleneck.extract import ShardWriter, extract_bottlenecks  # noqa: PLC0415 (only where there is work)
    from tasks.bottleneck.forward import Forward  # noqa: PLC0415 (imports TensorFlow)

    backbone = describe_backbone(find_backbone(settings.backbone), settings.decode.size)
    if backbone.weights_sha256 != settings.weights_sha256:
        raise BackboneError(f"The catalog now has other weights for {settings.backbone}. Start the run again.")
    progress.start(len(missing), "photo")
    tables = open_stores(root, settings.decode).decoded.rows(missing, ["sha256", "image"])
    with ShardWriter(settings.store(root), settings.views) as sink:
        extract_bottlenecks(tables, Forward(backbone), sink, progress)
