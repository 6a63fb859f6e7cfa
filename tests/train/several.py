"""Trains on a processor that is cut into two devices, which has to be done before TensorFlow starts.

    python -m tests.train.several FOLDER

Writes every network that `test_replicas.py` asks for into the folder, and prints how many copies there were.
"""

import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from tasks.progress import NullProgress
from tasks.runtime.tensorflow_import import tf
from tasks.storage.layout import DataRoot
from tasks.train import replicas
from tasks.train.examples import TrainingContext
from tasks.train.network import Network, save_network
from tasks.train.network_training import train_network
from tasks.train.pictures import open_pictures
from tasks.train.schedule import NetworkRecipe
from tests.train.tiny import DECODE, LABELS, coloured_photos, tiny

PRETRAINED = NetworkRecipe("pretrained", epochs=4, batch_size=8, learning_rate=0.01, seed=0)
#: Photos after which a training breaks off, behind its first checkpoint.
BREAK_OFF = 60 * PRETRAINED.batch_size
QUIET = TrainingContext(NullProgress())
NETWORKS = {"pretrained": PRETRAINED, "random": replace(PRETRAINED, start="random")}


class Stopper(NullProgress):
    """Breaks a training off after some photos."""

    def __init__(self, after: int) -> None:
        self._left = after

    def advance(self, count: int) -> None:
        """Count them."""
        self._left -= count
        if self._left <= 0:
            raise InterruptedError


def train_tiny(folder: Path, recipe: NetworkRecipe, watch: TrainingContext = QUIET) -> Network:
    """Train a whole network on coloured photos."""
    photos, _ = coloured_photos(DataRoot(folder), 60)
    with open_pictures(photos, photos.of("train"), DECODE, DataRoot(folder)) as pictures:
        return train_network(tiny(folder), pictures, LABELS, recipe, watch)


def main(folder: Path) -> None:
    """Train everything, what is to be gone on with first."""
    processor = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
    replicas.DEVICE = "CPU"
    with suppress(InterruptedError):
        train_tiny(folder, PRETRAINED, TrainingContext(Stopper(BREAK_OFF), folder / "checkpoints"))
    for name, recipe in NETWORKS.items():
        save_network(train_tiny(folder, recipe), folder / name)
    sys.stdout.write(f"{replicas.Replicas().count} copies")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
