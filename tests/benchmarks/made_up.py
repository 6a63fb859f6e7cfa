"""Made-up snapshots and stores: keys, rows and shards as those of photos, and hardly any bytes."""

import binascii
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.backbone.backbones import Backbone
from tasks.bottleneck.settings import BottleneckSettings
from tasks.shards.manifests import Manifest, StageResult
from tasks.shards.parquet import publish_parquet
from tasks.shards.schemas import DECODE, SNAPSHOT, describe
from tasks.shards.store import ShardStore
from tasks.storage.layout import DataRoot
from tasks.train.settings import LdaRecipe, TrainSettings

SNAPSHOT_KEY = "made-up"
#: Photos of a shard of bottlenecks, as tasks.bottleneck.extract has them, which imports Pillow.
PHOTOS_PER_SHARD = 1024
_LABELS = 5
#: Numbers of the last of two layers.
_LAST_WIDTH = 1280


def make_keys(count: int) -> pa.Array:
    """Draw keys that look like those of photos, sorted; the keys of fewer photos are among those of more."""
    digits = binascii.hexlify(np.random.default_rng(0).bytes(32 * count))
    ends = np.arange(0, 64 * count + 1, 64, dtype=np.int32)
    keys = pa.StringArray.from_buffers(count, pa.py_buffer(ends), pa.py_buffer(digits))
    return keys.take(pc.sort_indices(keys))


def make_snapshot(keys: pa.Array) -> pa.Table:
    """Make the snapshot of photos of five labels, without duplicates or conflicts."""
    texts = keys.to_pylist()
    labels = [f"label{_label_of(key)}" for key in texts]
    table = pa.table(
        {
            "sha256": keys,
            "path": [f"{label}/{key[-12:]}.jpg" for label, key in zip(labels, texts, strict=True)],
            "label": labels,
            "bytes": pa.array(np.full(len(keys), 60_000)),
            "duplicate_of": pa.nulls(len(keys), pa.string()),
            "conflict": pa.array(np.zeros(len(keys), bool)),
        }
    )
    return table.sort_by("path").cast(SNAPSHOT)


def _label_of(key: str) -> int:
    return int(key[:4], 16) % _LABELS


def open_decoded(folder: Path) -> ShardStore:
    return ShardStore(folder, describe(DECODE, "decode", "made up", {}), 256)


def fill_decoded(store: ShardStore, keys: pa.Array, rows_per_shard: int) -> None:
    """Append pictures of no bytes."""
    for start in range(0, len(keys), rows_per_shard):
        own = keys.slice(start, rows_per_shard)
        columns = {
            "sha256": own,
            "image": pa.StructArray.from_arrays([pa.array([b""] * len(own)), own], ["bytes", "path"]),
            **{name: pa.array([1] * len(own), pa.int32()) for name in ("width", "height")},
            "format": pa.array(["JPEG"] * len(own)),
            "mode": pa.array(["RGB"] * len(own)),
        }
        store.append(pa.table(columns))


def fill_bottlenecks(store: ShardStore, keys: pa.Array, views: int, photos_per_shard: int = PHOTOS_PER_SHARD) -> None:
    """Append drawn bottlenecks that tell a little of their labels."""
    kind = store.schema.field("bottleneck").type
    for start in range(0, len(keys), photos_per_shard):
        own = keys.slice(start, photos_per_shard)
        photos = own.take(pa.array(np.repeat(np.arange(len(own)), views)))
        labels = np.array([_label_of(key) for key in photos.to_pylist()])
        # As many bits as those of real photos: in 8 of them, 0.76 bytes a number are stored.
        random = np.random.default_rng((len(keys), start))
        drawn = random.integers(0, 64, (len(photos), kind.list_size), kind.value_type.to_pandas_dtype())
        drawn[np.arange(len(photos)), labels % kind.list_size] += 20
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(drawn.reshape(-1)), kind.list_size).cast(kind)
        numbers = pa.array(np.tile(np.arange(views, dtype=np.int8), len(own)))
        store.append(pa.table([photos, numbers, vectors], schema=store.schema))


def head_settings(width: int, views: int) -> TrainSettings:
    """Return the default recipe on bottlenecks of `width` numbers of two layers."""
    last = min(_LAST_WIDTH, width // 2)
    layers, widths = ("bottleneck", "early"), (last, width - last)
    backbone = Backbone("made up", "efficientnet_lite", "lite0", "0" * 64, 8, layers, widths, "inception")
    return TrainSettings((BottleneckSettings(backbone, "png", "float32", views),), LdaRecipe(), seed=0)


def publish_bottlenecks(
    root: DataRoot, photos: int, settings: TrainSettings, photos_per_shard: int = PHOTOS_PER_SHARD
) -> Manifest:
    """Publish the snapshot of so many photos, and the bottlenecks that the store lacks.

    Returns:
        The manifest of the bottleneck stage.
    """
    keys, (bottleneck,) = make_keys(photos), settings.bottlenecks
    publish_parquet(root.snapshot(SNAPSHOT_KEY), make_snapshot(keys))
    store = bottleneck.store(root)
    new = keys.filter(pa.array(~store.found(keys)))
    fill_bottlenecks(store, new, bottleneck.views, photos_per_shard)
    shards = tuple(shard.name for shard in store.shards())
    result = StageResult(bottleneck.key, SNAPSHOT_KEY, {}, photos, len(new), photos - len(new), shards)
    return Manifest(stage="bottleneck", run="benchmark", seconds=0.0, **vars(result))
