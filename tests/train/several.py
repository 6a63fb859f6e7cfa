"""Trains on a processor that is cut into two devices, which has to be done before TensorFlow starts.

    python -m tests.train.several FOLDER

Writes every head and network that `test_replicas.py` asks for into the folder, and prints how many copies there were.
"""

import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from tasks.artifacts import DataRoot
from tasks.progress import Progress, Silence
from tasks.quiet_tensorflow import tf
from tasks.train import replicas, vectors
from tasks.train.examples import Watch
from tasks.train.fit import fit_head
from tasks.train.head import Head, save_head
from tasks.train.network import Network, save_network
from tasks.train.network_training import train_network
from tasks.train.pictures import open_pictures
from tasks.train.schedule import NetworkRecipe
from tasks.train.settings import TrainSettings
from tests.train.examples import classic, draw_examples, put_on_disk, settings
from tests.train.tiny import DECODE, LABELS, coloured_photos, tiny

#: 65 rows are a batch of 64, and one of a single row, of which the second device has none.
PHOTOS = (30, 20, 15)
WAYS: dict[str, TrainSettings] = {"adam": settings(), "classic": classic(batch_size=21)}
#: Epochs and steps after which a training breaks off, behind its first checkpoints.
BREAK_OFF = {"adam": 17, "classic": 100}
PRETRAINED = NetworkRecipe("pretrained", epochs=4, batch_size=8, learning_rate=0.01, seed=0)
NETWORKS = {"pretrained": PRETRAINED, "random": replace(PRETRAINED, start="random")}
QUIET = Silence()


class Stopper(Silence):
    """Breaks a training off after some epochs or steps."""

    def __init__(self, after: int) -> None:
        self._left = after

    def advance(self, count: int) -> None:
        """Count them."""
        self._left -= count
        if self._left <= 0:
            raise InterruptedError


def fit(way: str, folder: Path, progress: Progress = QUIET, *, on_disk: bool = False) -> Head:
    """Train a head on photos of one view each; checkpoints go to the folder."""
    train, validation = draw_examples(PHOTOS), draw_examples((9, 9, 9), seed=1)
    examples = put_on_disk(train, folder) if on_disk else train
    one_view = examples.take(np.ones(len(train.labels), bool), slice(0, 1))
    watch = Watch(progress, folder / "checkpoints" / way)
    return fit_head(one_view, validation, WAYS[way], ("daisy", "roses", "tulips"), watch)[0]


def train_tiny(folder: Path, recipe: NetworkRecipe) -> Network:
    """Train a whole network on coloured photos."""
    photos, _ = coloured_photos(DataRoot(folder), 60)
    with open_pictures(photos, photos.of("train"), DECODE, DataRoot(folder)) as pictures:
        return train_network(tiny(folder), pictures, LABELS, recipe, Watch(Silence()))


def main(folder: Path) -> None:
    """Train everything, what is to be gone on with first."""
    processor = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
    replicas.DEVICE = "CPU"
    for way, after in BREAK_OFF.items():
        with suppress(InterruptedError):
            fit(way, folder, Stopper(after))
        save_head(fit(way, folder / "whole"), folder / way)
    vectors.MOST_IN_MEMORY = 0
    save_head(fit("adam", folder / "disk", on_disk=True), folder / "adam on disk")
    for name, recipe in NETWORKS.items():
        save_network(train_tiny(folder, recipe), folder / name)
    sys.stdout.write(f"{replicas.Replicas().count} copies")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
