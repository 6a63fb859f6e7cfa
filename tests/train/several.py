"""Trains on a processor that is cut into two devices, which has to be done before TensorFlow starts.

    python -m tests.train.several FOLDER

Saves the networks of `test_network_training.py` in the folder, and prints the number of replicas.
"""

import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from tasks.progress import NullProgress, Progress
from tasks.runtime.tensorflow_import import tf
from tasks.storage.layout import DataRoot
from tasks.train import network_training
from tasks.train.network import Network, save_network
from tasks.train.network_training import open_strategy, train_network
from tasks.train.pictures import open_pictures
from tasks.train.schedule import NetworkRecipe
from tasks.train.training_state import TrainingContext
from tests.train.tiny import COUNT, DECODE, LABELS, coloured_photos, tiny

PRETRAINED = NetworkRecipe("pretrained", epochs=4, batch_size=8, learning_rate=0.01, seed=0)
#: Photos after which a training is interrupted, behind its first checkpoint.
INTERRUPTED = 60 * PRETRAINED.batch_size
NETWORKS = {"pretrained": PRETRAINED, "random": replace(PRETRAINED, start="random")}


class Stopper(NullProgress):
    """Interrupts a training after some photos."""

    _left = INTERRUPTED

    def advance(self, count: int) -> None:
        """Count them."""
        self._left -= count
        if self._left <= 0:
            raise InterruptedError


def train_tiny(
    folder: Path, recipe: NetworkRecipe, checkpoints: Path | None = None, progress: Progress | None = None
) -> Network:
    """Train a whole network on the same coloured photos each time, wherever they are kept."""
    photos, _ = coloured_photos(DataRoot(folder), COUNT)
    context = TrainingContext(progress or NullProgress(), checkpoints)
    with open_pictures(photos, photos.of("train"), DECODE, DataRoot(folder)) as pictures:
        return train_network(tiny(folder), pictures, LABELS, recipe, context)


def main(folder: Path) -> None:
    processor = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
    network_training.DEVICE = "CPU"
    with suppress(InterruptedError):
        train_tiny(folder, PRETRAINED, folder / "checkpoints", Stopper())
    for name, recipe in NETWORKS.items():
        save_network(train_tiny(folder, recipe), folder / name)
    sys.stdout.write(f"{open_strategy().num_replicas_in_sync} replicas")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
