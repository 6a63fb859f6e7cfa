"""Evaluates a head or a fine-tuned network: predictions, metrics and cross-validation."""

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from tasks.backbone.backbones import Prepared
from tasks.evaluate.cross_validation import cross_predict
from tasks.evaluate.label_issues import find_label_issues, publish_label_issues
from tasks.evaluate.metrics import measure, measure_cross_validation
from tasks.evaluate.near_duplicates import find_near_duplicates, measure_near_duplicates, publish_near_duplicates
from tasks.evaluate.predictions import PredictedPhotos, publish_predictions
from tasks.evaluate.settings import EvaluateSettings
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.shards.manifests import Manifest
from tasks.storage.files import publish_json
from tasks.storage.layout import DataRoot
from tasks.train.head import load_head
from tasks.train.photos import EmbeddedPhotos, load_photos, load_pictured, take_photos
from tasks.train.settings import FinetuneSettings, TrainSettings


class TrainedOn(NamedTuple):
    """Training data of a head or network."""

    manifests: Sequence[Manifest]  #: Manifests of the bottleneck stages of a head, or of the decode stage of a network.
    weights: AnyPath  #: Path of the weights of a network's backbone.
    statistics: AnyPath | None = None  #: Folder that keeps the statistics of the dataset's photos; None keeps none.


def evaluate(
    snapshot: str, settings: EvaluateSettings, source: TrainedOn, root: DataRoot, progress: Progress
) -> dict[str, Any]:
    """Evaluate the head or network of a snapshot, and publish metrics.json and the Parquet files of the evaluation.

    metrics.json has the metrics on the test split. The cross-validation of a head's recipe is over all photos, or over
    those outside the test split if the dataset gives it. It and the number of label issues, which it finds, are null
    where no cross-validation was asked for. Near duplicates, and the accuracy without them, are left out for a network,
    which has no bottlenecks to find them by.

    Returns:
        The content of metrics.json.
    """
    if isinstance(settings.train, TrainSettings):
        predicted = _predict_with_head(snapshot, settings, source, root, progress)
    else:
        predicted = _predict_with_network(snapshot, settings.train, source, root, progress)
    photos, test, crossed = predicted.photos, predicted.photos.of("test"), predicted.crossed
    folder, facts = root.evaluate(settings.key(snapshot)), {"snapshot": snapshot, "head": settings.train.key(snapshot)}
    metrics: dict[str, Any] = {
        "test": measure(photos.truth[test], predicted.probabilities[test], photos.labels).to_json(),
        "cross_validation": None,
        "label_issues": None,
        **({"given_splits": True} if photos.splits.is_given else {}),
    }
    disputed = np.zeros(len(photos.truth), bool)
    if isinstance(photos, EmbeddedPhotos):
        found = find_near_duplicates(photos, progress)
        publish_near_duplicates(folder, photos, found, facts)
        metrics |= measure_near_duplicates(predicted, found)
        disputed = found.disputed(photos.truth)
    if crossed is not None:
        issues = find_label_issues(photos.truth, crossed, disputed)
        publish_label_issues(folder, photos, issues, facts)
        inside = photos.splits.in_folds
        measured = measure_cross_validation(settings.folds, photos.truth[inside], crossed[inside], photos.labels)
        metrics |= {
            "cross_validation": measured | ({"photos": int(inside.sum())} if photos.splits.is_given else {}),
            "label_issues": int(issues.is_issue.sum()),
        }
    publish_predictions(folder, predicted, facts)
    publish_json(folder / "metrics.json", metrics)
    return metrics


def _predict_with_head(
    snapshot: str, settings: EvaluateSettings, source: TrainedOn, root: DataRoot, progress: Progress
) -> PredictedPhotos:
    train = cast("TrainSettings", settings.train)
    key = train.key(snapshot)
    photos = take_photos(key) or load_photos(snapshot, source.manifests, train, root)
    head = load_head(root.train(key))
    return PredictedPhotos(photos, *cross_predict(photos, head, settings.folds, source.statistics, progress))


def _predict_with_network(
    snapshot: str, train: FinetuneSettings, source: TrainedOn, root: DataRoot, progress: Progress
) -> PredictedPhotos:
    """Predict without a cross-validation, which would train as many networks as it has folds."""
    from tasks.train.network import read_network  # noqa: PLC0415 (imports TensorFlow, which heads do without)
    from tasks.train.pictures import open_pictures  # noqa: PLC0415

    (decoded,) = source.manifests
    photos = load_pictured(snapshot, decoded, train.decode, root)
    network = read_network(root.train(train.key(snapshot)), Prepared(train.backbone, source.weights))
    with open_pictures(photos, np.ones(len(photos.sha256), bool), train.decode, root) as pictures:
        return PredictedPhotos(photos, network.probabilities(pictures, progress))
