"""What earlier layers are worth where photos are few: heads that may choose them, and heads of the last layer alone.

    python -m tests.benchmarks.layers --output FOLDER
    python -m tests.benchmarks.layers --dataset sample --per-label 5 20 50 --output FOLDER

A run of the real `luigi` command with all defaults computes the bottlenecks. Then, once a round, so many photos of each
label are drawn from the training split; heads of both ways are chosen and fitted on them, and tested on all others.
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
from tests.benchmarks.table import Table, parser, tell
from tests.pipeline.command import Project

#: Weights of earlier layers that each way may choose from.
WAYS = {"layers to choose from": LdaRecipe.layer_weights, "last layer alone": (0.0,)}
DATE = "2026-01-01"


def embed(project: Project, image_size: str) -> EmbeddedPhotos:
    """Run with all defaults, and load the photos with their bottlenecks."""
    defaults = {"views": "2", "layers": "auto"}
    done = project.retrain(date=DATE, export="none", image_size=image_size, **defaults)
    if done.code:
        raise SystemExit(done.errors)
    record, root = project.record(DATE), DataRoot(project.root)
    settings = settings_from(TrainSettings, read_manifest(root.train(record["head"]) / "manifest.json").settings)
    (bottleneck,) = settings.bottlenecks
    embedded = read_manifest(manifest_path(bottleneck.store(root).folder, record["snapshot"]))
    return load_photos(record["snapshot"], [embedded], settings, root)


def measure_head(photos: EmbeddedPhotos, layer_weights: tuple[float, ...], per_label: int, seed: int) -> Metrics:
    """Choose and fit a head on the photos that are drawn, and measure it on all others."""
    drawn = np.zeros(len(photos.sha256), bool)
    drawn[sample_training(photos, per_label, seed)] = True
    settings = replace(photos.features.settings, recipe=LdaRecipe(layer_weights=layer_weights))
    numbers = photos.features.read(drawn, range(photos.features.shape[1]))
    head, _ = LdaTrainer.of(settings, photos.labels).search_on(numbers, photos.truth[drawn])
    predicted = head.probabilities(read_values(photos.features, ~drawn))
    return measure(photos.truth[~drawn], predicted, photos.labels)


def main() -> None:
    """Measure, print tables, and write them as JSON."""
    options = parser(__doc__)
    options.add_argument("--dataset", default="../shared/flower_photos")
    options.add_argument("--per-label", type=int, nargs="+", default=[5, 20, 50, 100])
    options.add_argument("--image-size", default="0", help="As RetrainFlowers takes it.")
    arguments = options.parse_args()
    tables = []
    with tempfile.TemporaryDirectory() as folder:
        photos = embed(Project(arguments.dataset, Path(folder)), arguments.image_size)
        for per_label in arguments.per_label:
            found = {
                way: [measure_head(photos, weights, per_label, seed) for seed in range(arguments.repeat)]
                for way, weights in WAYS.items()
            }
            title = f"{per_label} photos a label, tested on all others"
            accuracies = {way: [100 * each.accuracy for each in own] for way, own in found.items()}
            losses = {way: [each.log_loss for each in own] for way, own in found.items()}
            against = "last layer alone"
            tables.append(Table("layers", f"{title}: accuracy", "%", against, accuracies))
            tables.append(Table("layers", f"{title}: log loss", "", against, losses, less_is_better=True))
    tell(tables, arguments.output)


if __name__ == "__main__":
    main()
