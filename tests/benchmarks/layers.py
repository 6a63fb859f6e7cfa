"""Accuracy of heads that may choose earlier layers, beside that of heads of the last layer alone, on few photos.

A run of the real `luigi` command with all defaults computes the bottlenecks. In each round, so many photos of each
label are drawn from the training split; both heads are chosen and fitted on them, and tested on all others.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from tasks.compare.sampling import sample_training
from tasks.evaluate.metrics import Metrics, measure
from tasks.settings import settings_from
from tasks.shards.manifests import read_manifest
from tasks.storage.layout import DataRoot, manifest_path
from tasks.train.features import read_values
from tasks.train.lda_training import LdaTrainer
from tasks.train.photos import EmbeddedPhotos, load_photos
from tasks.train.settings import LdaRecipe, TrainSettings
from tests.benchmarks.measure import FLOWERS, Output, Repeat, Table, publish, run_command
from tests.benchmarks.runs import read_record, retrain

#: Weights of earlier layers that each head may choose from.
WAYS = {"last layer alone": (0.0,), "layers to choose from": LdaRecipe.layer_weights}


def embed(dataset: str, root: DataRoot[Path]) -> EmbeddedPhotos:
    """Run with all defaults but the export, and load the photos with their bottlenecks."""
    retrain(dataset, root.path, export="none")
    record = read_record(root.path)
    settings = settings_from(TrainSettings, read_manifest(root.train(record["head"]) / "manifest.json").settings)
    (bottleneck,) = settings.bottlenecks
    embedded = read_manifest(manifest_path(bottleneck.store(root).folder, record["snapshot"]))
    return load_photos(record["snapshot"], [embedded], settings, root)


def measure_head(photos: EmbeddedPhotos, layer_weights: tuple[float, ...], per_label: int, seed: int) -> Metrics:
    """Choose and fit a head on drawn photos, and measure it on all others."""
    drawn = np.zeros(len(photos.sha256), bool)
    drawn[sample_training(photos, per_label, seed)] = True
    settings = replace(photos.features.settings, recipe=LdaRecipe(layer_weights=layer_weights))
    numbers = photos.features.read(drawn, range(photos.features.shape[1]))
    head, _ = LdaTrainer.of(settings, photos.labels).search_on(numbers, photos.truth[drawn])
    predicted = head.probabilities(read_values(photos.features, ~drawn))
    return measure(photos.truth[~drawn], predicted, photos.labels)


def main(output: Output, repeat: Repeat = 5, dataset: str = str(FLOWERS)) -> None:
    """Measure heads on 5, 20, 50 and 100 photos a label."""
    tables = []
    with tempfile.TemporaryDirectory() as folder:
        photos = embed(dataset, DataRoot(Path(folder)))
        for per_label in (5, 20, 50, 100):
            found = {
                way: [measure_head(photos, weights, per_label, seed) for seed in range(repeat)]
                for way, weights in WAYS.items()
            }
            accuracies = {way: [100 * each.accuracy for each in own] for way, own in found.items()}
            losses = {way: [each.log_loss for each in own] for way, own in found.items()}
            title = f"{per_label} photos a label, tested on all others"
            tables.append(Table(f"{title}: accuracy", "%", accuracies))
            tables.append(Table(f"{title}: log loss", "", losses, lower_is_better=True))
    publish("layers", tables, output)


if __name__ == "__main__":
    run_command(main, __doc__)
