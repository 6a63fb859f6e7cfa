"""Evaluates a head or a whole network: predictions and metrics."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tasks.backbone.backbones import Prepared
from tasks.evaluate.cross_validation import fold_heads, predict_photos
from tasks.evaluate.metrics import CrossValidation, Metrics, measure, measure_crossed
from tasks.evaluate.predictions import tabulate_predictions
from tasks.evaluate.settings import EvaluateSettings
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.shards.manifests import Manifest
from tasks.shards.parquet import publish_parquet
from tasks.shards.schemas import describe
from tasks.storage.files import publish_json
from tasks.storage.layout import DataRoot
from tasks.train.examples import Floats
from tasks.train.head import load_head
from tasks.train.photos import LabelledPhotos, load_photos, load_pictured
from tasks.train.settings import FinetuneSettings, TrainSettings


class TrainedOn(NamedTuple):
    """What a head or a network was trained on.

    Args:
        manifests: What the stages before say that they have: the bottleneck stages of a head, the decode stage of a
            network.
        weights: Where the weights of a network's backbone are.
        statistics: Where the statistics of the photos' dataset are kept; None keeps none.
    """

    manifests: Sequence[Manifest]
    weights: AnyPath
    statistics: AnyPath | None = None


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a head or a network is worth.

    Args:
        metrics: On the test split.
        cross_validation: Of the same recipe, over all photos; None where it was not asked for.
    """

    metrics: Metrics
    cross_validation: CrossValidation | None

    def to_json(self) -> dict[str, Any]:
        """Plain Python values: what metrics.json holds."""
        crossed = self.cross_validation
        if crossed is None:
            return {"test": self.metrics.to_json(), "cross_validation": None}
        return {"test": self.metrics.to_json(), "cross_validation": crossed.to_json()}


def evaluate(
    snapshot: str, settings: EvaluateSettings, source: TrainedOn, root: DataRoot, progress: Progress
) -> Evaluation:
    """Evaluate the head or network of a snapshot.

    Publishes metrics.json and predictions.parquet.

    Args:
        snapshot: Key of the snapshot.
        settings: How to evaluate; they name the head or network.
        source: What the head or network was trained on.
        root: Where everything is.
        progress: Told of every photo that a network predicts, and of every fold of a cross-validation.
    """
    train = settings.train
    if isinstance(train, TrainSettings):
        judged = _judge_head(snapshot, (train, settings.folds), source, root, progress)
    else:
        judged = _judge_network(snapshot, train, source, root, progress)
    photos, probabilities, _ = judged
    test = photos.of("test")
    metrics = measure(photos.truth[test], probabilities[test], photos.labels)
    evaluation = Evaluation(metrics, judged.cross_validation)

    key = settings.key(snapshot)
    folder = root.evaluate(key)
    facts = {"labels": list(photos.labels), "snapshot": snapshot, "head": train.key(snapshot)}
    predictions = tabulate_predictions(photos, probabilities)
    schema = describe(predictions.schema, "evaluate", key, facts)
    publish_parquet(folder / "predictions.parquet", predictions.cast(schema))
    publish_json(folder / "metrics.json", evaluation.to_json())
    return evaluation


class _Judged(NamedTuple):
    """Photos, what is said of them (float32 [N, C]), and the cross-validation where there is one."""

    photos: LabelledPhotos
    probabilities: Floats
    cross_validation: CrossValidation | None


def _judge_head(
    snapshot: str, how: tuple[TrainSettings, int], source: TrainedOn, root: DataRoot, progress: Progress
) -> _Judged:
    train, folds = how
    photos = load_photos(snapshot, source.manifests, train, root)
    head = load_head(root.train(train.key(snapshot)))
    heads = fold_heads(photos, head, folds, source.statistics, progress) if folds else ()
    predicted, crossed = predict_photos(photos, head, heads, progress)
    found = None if crossed is None else measure_crossed(folds, photos.truth, crossed)
    return _Judged(photos, predicted, found)


def _judge_network(
    snapshot: str, train: FinetuneSettings, source: TrainedOn, root: DataRoot, progress: Progress
) -> _Judged:
    """Without a cross-validation, which would train as many networks as it has folds."""
    from tasks.train.network import read_network  # noqa: PLC0415 (imports TensorFlow, which a head's figures can do without)
    from tasks.train.pictures import open_pictures  # noqa: PLC0415

    (decoded,) = source.manifests
    photos = load_pictured(snapshot, decoded, train.decode, root)
    network = read_network(root.train(train.key(snapshot)), Prepared(train.backbone, source.weights))
    everything = np.ones(len(photos.sha256), bool)
    with open_pictures(photos, everything, train.decode, root) as pictures:
        return _Judged(photos, network.probabilities(pictures, progress), None)
