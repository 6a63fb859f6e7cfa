"""Stores and snapshots of made-up photos: as many rows, shards and keys as a real one, and next to no bytes."""

import binascii

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.backbone.backbones import Backbone
from tasks.bottleneck.settings import BottleneckSettings
from tasks.shards.schemas import SNAPSHOT
from tasks.shards.store import ShardStore
from tasks.train.settings import LdaRecipe, TrainSettings


def make_keys(count: int, seed: int = 0) -> pa.Array:
    """Draw keys that look as those of photos do, sorted as a snapshot's are."""
    digits = binascii.hexlify(np.random.default_rng(seed).bytes(32 * count))
    ends = np.arange(0, 64 * count + 1, 64, dtype=np.int32)
    keys = pa.StringArray.from_buffers(count, pa.py_buffer(ends), pa.py_buffer(digits))
    return keys.take(pc.sort_indices(keys))


def fill_decoded(store: ShardStore, keys: pa.Array, rows_per_shard: int) -> None:
    """Append pictures of no bytes, in shards as a cold run cuts them."""
    for start in range(0, len(keys), rows_per_shard):
        own = keys.slice(start, rows_per_shard)
        nothing = pa.array([b""] * len(own))
        columns = {
            "sha256": own,
            "image": pa.StructArray.from_arrays([nothing, own], ["bytes", "path"]),
            **{name: pa.array([1] * len(own), pa.int32()) for name in ("width", "height")},
            "format": pa.array(["JPEG"] * len(own)),
            "mode": pa.array(["RGB"] * len(own)),
        }
        store.append(pa.table(columns))


def made_up_head(width: int, views: int) -> TrainSettings:
    """The settings of a head of the recipe `lda` with its default choices, on so many numbers."""
    backbone = Backbone("made up", "efficientnet_lite", "lite0", "0" * 64, 8, ("bottleneck",), (width,), "inception")
    return TrainSettings((BottleneckSettings(backbone, "png", "float32", views),), LdaRecipe(), seed=0)


def fill_bottlenecks(store: ShardStore, keys: pa.Array, views: int, photos_per_shard: int) -> None:
    """Append the bottlenecks of photos, random numbers, in shards as a cold run cuts them."""
    kind = store.schema.field("bottleneck").type
    for start in range(0, len(keys), photos_per_shard):
        own = keys.slice(start, photos_per_shard)
        rows = len(own) * views
        # As many bits as those of real photos: in 8 of them, 0.76 bytes a number are stored.
        drawn = np.random.default_rng(start).integers(0, 64, rows * kind.list_size, kind.value_type.to_pandas_dtype())
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(drawn), kind.list_size).cast(kind)
        photos = own.take(pa.array(np.repeat(np.arange(len(own)), views)))
        numbers = pa.array(np.tile(np.arange(views, dtype=np.int8), len(own)))
        store.append(pa.table([photos, numbers, vectors], schema=store.schema))


def make_snapshot(keys: pa.Array) -> pa.Table:
    """A snapshot's table of so many photos of five labels, without duplicates or conflicts, sorted by path."""
    places = np.random.default_rng(0).permutation(len(keys))
    labels = pa.array([f"label{place % 5}" for place in range(len(keys))])
    paths = pc.binary_join_element_wise(labels, pa.array([f"{place:09d}.jpg" for place in range(len(keys))]), "/")
    table = pa.table(
        {
            "sha256": keys.take(pa.array(places)),
            "path": paths,
            "label": labels,
            "bytes": pa.array(np.full(len(keys), 60_000)),
            "duplicate_of": pa.nulls(len(keys), pa.string()),
            "conflict": pa.array(np.zeros(len(keys), bool)),
        }
    )
    return table.sort_by("path").cast(SNAPSHOT)
