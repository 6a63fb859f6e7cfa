"""A network of two small layers and photos of two colours: training a whole network in a second."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from tasks.backbone.backbones import Backbone, Prepared
from tasks.backbone.weights import weights_sha256
from tasks.bottleneck.views import Pixels
from tasks.decode.photos import open_stores
from tasks.decode.settings import DecodeSettings
from tasks.runtime.tensorflow_import import keras
from tasks.shards.manifests import Manifest
from tasks.snapshot.splits import assign_splits
from tasks.storage.layout import DataRoot
from tasks.train.photos import LabelledPhotos
from tests.bottleneck.pictures import add_pictures, key_of, manifest_of
from tests.support.data_root import publish_snapshot, snapshot_row

SIZE = 16
#: Photos of the fixtures: several batches of training and prediction, the last one of each smaller.
COUNT = 120
LABELS = ("blue", "red")
DECODE = DecodeSettings(SIZE, SIZE, "bilinear", "png")


def tiny(folder: Path) -> Prepared:
    """Save a small network with some weights, as a user would, and describe it as a backbone."""
    file = folder / "tiny.keras"
    if not file.exists():
        keras.utils.set_random_seed(0)
        layers = keras.layers
        model = keras.Sequential(
            [
                keras.Input((SIZE, SIZE, 3)),
                layers.Conv2D(8, 3, 2, use_bias=False, name="first"),
                layers.BatchNormalization(name="norm"),
                layers.ReLU(),
                layers.Conv2D(8, 3, 2, name="second"),
                layers.ReLU(),
                layers.GlobalAveragePooling2D(),
                layers.Dense(3, name="old_classes"),
            ]
        )
        model.save(file)
    return Prepared(Backbone("tiny", "keras_file", "", weights_sha256(file), SIZE, ("",), (8,), "symmetric"), file)


def coloured(number: int, size: int) -> Pixels:
    """Draw noise that is a little blue for even numbers and a little red for odd ones: uint8 [size, size, 3]."""
    noise = np.random.default_rng(number).integers(0, 200, (size, size, 3))
    noise[..., 0 if number % 2 else 2] += 40
    return noise.astype(np.uint8)


def coloured_photos(root: DataRoot, count: int) -> tuple[LabelledPhotos, Manifest]:
    """Fill a decoded store with coloured photos, in three shards; numbers are labelled by their colours."""
    store = open_stores(root, DECODE).decoded
    shards = [add_pictures(store, range(start, count, 3), SIZE, coloured) for start in range(3)]
    numbers = sorted(range(count), key=key_of)
    keys, truth = [key_of(number) for number in numbers], np.array([number % 2 for number in numbers])
    names = [LABELS[label] for label in truth]
    paths = [f"{name}/{number}.png" for name, number in zip(names, numbers, strict=True)]
    return LabelledPhotos(keys, paths, LABELS, truth, assign_splits(keys, names)), manifest_of("decode", count, shards)


def coloured_snapshot(root: DataRoot, count: int) -> Manifest:
    """Publish the snapshot `snap` of coloured photos; return the manifest of its decode stage."""
    photos, decoded = coloured_photos(root, count)
    publish_snapshot(root, [snapshot_row(int(Path(path).stem), path) for path in photos.paths])
    return replace(decoded, details={"missing": 0})
