"""Fine-tunes a network on the photos of a snapshot and publishes it."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from tasks.backbone.backbones import Prepared
from tasks.progress import Progress
from tasks.run_context import RunContext
from tasks.shards.manifests import Manifest
from tasks.storage.files import lock_folder, read_json, storage_at
from tasks.train.network import FACTS, Network, save_network
from tasks.train.network_training import train_network
from tasks.train.photos import LabelledPhotos, load_pictured
from tasks.train.pictures import open_pictures
from tasks.train.schedule import NetworkRecipe
from tasks.train.scores import Score
from tasks.train.settings import FinetuneSettings
from tasks.train.training_state import CHECKPOINTS, Training, TrainingContext, announce


def finetune(
    decoded: Manifest, settings: FinetuneSettings, context: RunContext, progress: Progress
) -> Mapping[str, Any]:
    """Train a network on the training split, score it on the validation split, and publish it.

    It resumes from a checkpoint; a second process that trains the same network waits.

    Returns:
        The labels and facts of the network, as `network.json` has them.

    Raises:
        SettingError: The backbone cannot be trained, or the loss is not finite.
        BackboneError: The backbone's weights are damaged, or not those of the settings.
        StoreError: The decoded store has lost pictures since, or a checkpoint is damaged.
    """
    photos = load_pictured(context.snapshot, decoded, settings.decode, context.root)
    folder = context.root.train(settings.key(context.snapshot))
    with lock_folder(folder):
        if not (folder / FACTS).is_file():
            announce(Training(settings, context.snapshot), folder)
            save_network(_train(photos, settings, context, TrainingContext(progress, folder / CHECKPOINTS)), folder)
        # Three times the network's weights each, and no longer needed.
        storage_at(folder).discard(folder / CHECKPOINTS)
        published: dict[str, Any] = read_json(folder / FACTS)
    return published


def _train(photos: LabelledPhotos, settings: FinetuneSettings, run: RunContext, context: TrainingContext) -> Network:
    """Train a network on the training split, and score it on the validation split."""
    root, decode = run.root, settings.decode
    prepared = Prepared(settings.backbone, run.weights_of(settings.backbone.weights_sha256))
    recipe = NetworkRecipe("pretrained", settings.epochs, settings.batch_size, settings.learning_rate, settings.seed)
    with open_pictures(photos, photos.of("train"), decode, root) as training:
        network = train_network(prepared, training, photos.labels, recipe, context)
    with open_pictures(photos, photos.of("validation"), decode, root) as validation:
        score = Score.of(network.probabilities(validation, context.progress), validation.labels)
    facts = {
        **network.facts,
        "validation_photos": len(validation),
        "validation_accuracy": score.accuracy,
        "validation_log_loss": score.log_loss,
        "snapshot": run.snapshot,
        "decode": decode.key,
        "settings": asdict(settings),
        "train_photos": len(training),
    }
    return replace(network, facts=facts)
