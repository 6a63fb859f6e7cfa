"""Fine-tunes a network on the photos of a snapshot and keeps it."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

from tasks.backbone.backbones import Prepared
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.shards.manifests import Manifest
from tasks.storage.files import read_json, storage_at
from tasks.storage.layout import DataRoot
from tasks.storage.locks import lock_folder
from tasks.train.examples import TrainingContext, mark
from tasks.train.network import FACTS, Network, save_network
from tasks.train.network_training import train_network
from tasks.train.photos import LabelledPhotos, load_pictured
from tasks.train.pictures import open_pictures
from tasks.train.schedule import NetworkRecipe
from tasks.train.settings import FinetuneSettings
from tasks.train.training_state import CHECKPOINTS, Training, announce


class Pictured(NamedTuple):
    """A snapshot's key, and what the decode stage says that it has of its photos."""

    snapshot: str
    decoded: Manifest


def finetune(
    source: Pictured, settings: FinetuneSettings, weights: AnyPath, root: DataRoot, progress: Progress
) -> Mapping[str, Any]:
    """Fine-tune a network on the training split, measure it on the validation split, and publish it.

    Goes on from a checkpoint where an earlier try left one; a second process that trains the same network waits.

    Args:
        source: The photos.
        settings: How to train.
        weights: Where the backbone's weights are.
        root: Where everything is.
        progress: Told of every photo.

    Returns:
        The labels and facts of the network, as `network.json` has them.

    Raises:
        SettingError: The backbone cannot be trained, or the loss is no number any more.
        BackboneError: The backbone's weights are not as they should be.
        StoreError: The decoded store has lost pictures since, or a checkpoint is damaged.
    """
    photos = load_pictured(source.snapshot, source.decoded, settings.decode, root)
    folder = root.train(settings.key(source.snapshot))
    recipe = NetworkRecipe(
        start="pretrained",
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        seed=settings.seed,
    )
    with lock_folder(folder):
        if not (folder / FACTS).is_file():
            announce(Training(settings, source.snapshot), folder)
            watch = TrainingContext(progress, folder / CHECKPOINTS)
            with open_pictures(photos, photos.of("train"), settings.decode, root) as pictures:
                network = train_network(Prepared(settings.backbone, weights), pictures, photos.labels, recipe, watch)
            facts = {
                **network.facts,
                **_validate(network, photos, settings, root, progress),
                "snapshot": source.snapshot,
                "decode": settings.decode.key,
                "settings": asdict(settings),
                "train_photos": len(pictures),
            }
            save_network(Network(network.model, network.labels, facts), folder)
        # Three times the network's weights each, and of no use to anybody now.
        storage_at(folder).discard(folder / CHECKPOINTS)
        published: dict[str, Any] = read_json(folder / FACTS)
    return published


def _validate(
    network: Network, photos: LabelledPhotos, settings: FinetuneSettings, root: DataRoot, progress: Progress
) -> dict[str, float | int]:
    """Measure the network on the validation split."""
    with open_pictures(photos, photos.of("validation"), settings.decode, root) as pictures:
        found = mark(network.probabilities(pictures, progress), pictures.labels)
    return {
        "validation_photos": len(pictures),
        "validation_accuracy": found.accuracy,
        "validation_log_loss": found.log_loss,
    }
