"""Small decoded and bottleneck stores, for the tests of the stages after decoding."""

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from tasks.bottleneck.quantisation import Numbers
from tasks.decode.photos import open_stores
from tasks.decode.settings import DecodeSettings
from tasks.paths import AnyPath
from tasks.shards.manifests import Manifest
from tasks.shards.store import ShardStore
from tasks.storage.layout import DataRoot

Pixels = npt.NDArray[np.uint8]


def key_of(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def draw(number: int, size: int) -> Pixels:
    """Draw a picture that is like no other: uint8 [size, size, 3], two by two blocks."""
    blocks = np.random.default_rng(number).integers(0, 256, (2, 2, 3), dtype=np.uint8)
    return blocks.repeat(size // 2, axis=0).repeat(size // 2, axis=1)


def encode(pixels: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def add_pictures(
    store: ShardStore, numbers: Sequence[int], size: int, picture: Callable[[int, int], Pixels] = draw
) -> AnyPath:
    """Publish the pictures of some numbers as one shard, and return its path."""
    rows = [
        {
            "sha256": key_of(number),
            "image": {"bytes": encode(picture(number, size)), "path": f"{number}.png"},
            "width": size,
            "height": size,
            "format": "PNG",
            "mode": "RGB",
        }
        for number in numbers
    ]
    return store.append(pa.Table.from_pylist(rows, store.schema))


def numbers_of(number: int, views: int, width: int) -> npt.NDArray[np.uint8]:
    """Bottlenecks of a photo that is only a number, as they are stored: uint8 [views, width], like no other photo's."""
    return np.random.default_rng(number).integers(0, 256, (views, width), np.uint8)


def add_bottlenecks(store: ShardStore, numbers: Sequence[int], views: int, width: int) -> AnyPath:
    """Publish the bottlenecks of some numbers as one shard, and return its path."""
    return add_vectors(store, {number: numbers_of(number, views, width) for number in numbers})


def add_vectors(store: ShardStore, vectors: Mapping[int, Numbers]) -> AnyPath:
    """Publish the bottlenecks of numbers, [V, D] each, as one shard, and return its path."""
    rows = [
        {"sha256": key_of(number), "view": view, "bottleneck": vector}
        for number, views in vectors.items()
        for view, vector in enumerate(views)
    ]
    return store.append(pa.Table.from_pylist(rows, store.schema))


def keys_of(numbers: Sequence[int]) -> pa.Array:
    """The keys of some numbers, in the order of a snapshot."""
    return pa.array(sorted(key_of(number) for number in numbers), pa.string())


def manifest_of(stage: str, photos: int, shards: Sequence[AnyPath]) -> Manifest:
    return Manifest(
        stage=stage,
        run="test",
        seconds=0.0,
        key="key",
        snapshot="snapshot",
        settings={},
        photos=photos,
        new=photos,
        reused=0,
        shards=tuple(shard.name for shard in shards),
        details={},
    )


def decoded_store(root: DataRoot, settings: DecodeSettings, shards: Sequence[Sequence[int]]) -> Manifest:
    """Fill a decoded store with the pictures of numbers, a sequence a shard."""
    store = open_stores(root, settings).decoded
    paths = [add_pictures(store, numbers, settings.size) for numbers in shards]
    return manifest_of("decode", sum(map(len, shards)), paths)
