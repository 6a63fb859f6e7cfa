"""Evaluates a head or a whole network: predictions, metrics, figures and report."""

import datetime as dt
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tasks.artifacts import DataRoot, Manifest, describe, publish_bytes, publish_json, publish_parquet
from tasks.backbone.backbones import Prepared
from tasks.evaluate.cross_validation import cross_validate
from tasks.evaluate.gather import Predicted, gather_curve, gather_report
from tasks.evaluate.metrics import CONFIDENCE, Metrics, measure
from tasks.evaluate.predictions import tabulate_predictions
from tasks.evaluate.provenance import tell_provenance
from tasks.evaluate.report import CrossValidation, Summary, render_report
from tasks.evaluate.settings import EvaluateSettings
from tasks.progress import Progress
from tasks.snapshot.photos import read_snapshot
from tasks.train.examples import Floats
from tasks.train.head import load_head
from tasks.train.photos import Photos, load_photos, load_pictured
from tasks.train.settings import FinetuneSettings, TrainSettings
from tasks.train.vectors import choose


@dataclass(frozen=True)
class Occasion:
    """The run that an evaluation was first made for.

    Args:
        dataset: Name of the dataset.
        date: Date of the run.
        stages: Manifests of the stages before, by stage, in their order.
        weights: Where the backbone's weights are.
    """

    dataset: str
    date: dt.date
    stages: Mapping[str, Manifest]
    weights: Path


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
        interval = {**crossed.interval._asdict(), "confidence": CONFIDENCE}
        return {
            "test": self.metrics.to_json(),
            "cross_validation": {"folds": crossed.folds, "accuracy": crossed.accuracy, "interval": interval},
        }


def evaluate(
    snapshot: str, settings: EvaluateSettings, occasion: Occasion, root: DataRoot, progress: Progress
) -> Evaluation:
    """Evaluate the head or network of a snapshot.

    Publishes metrics.json, predictions.parquet, confusion-matrix.png and report.html.

    Args:
        snapshot: Key of the snapshot.
        settings: How to evaluate; they name the head or network.
        occasion: What the report says of the run.
        root: Where everything is.
        progress: Told of every photo that a network predicts, and of every fold of a cross-validation.
    """
    started = time.monotonic()
    train = settings.train
    if isinstance(train, TrainSettings):
        judged = _judge_head(snapshot, (train, settings.folds), occasion, root, progress)
    else:
        judged = _judge_network(snapshot, train, occasion, root, progress)
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
    summary = _summarise(snapshot, settings, occasion, evaluation, time.monotonic() - started)
    predicted = Predicted(photos, probabilities, metrics)
    report = gather_report(summary, predicted, read_snapshot(root, snapshot), train.decode, root)
    publish_bytes(folder / "confusion-matrix.png", report.confusion_matrix)
    watched = replace(report, learning_curve=gather_curve(root.train(train.key(snapshot))))
    publish_bytes(folder / "report.html", render_report(watched).encode())
    return evaluation


class _Judged(NamedTuple):
    """Photos, what is said of them (float32 [N, C]), and the cross-validation where there is one."""

    photos: Photos
    probabilities: Floats
    cross_validation: CrossValidation | None


def _judge_head(
    snapshot: str, how: tuple[TrainSettings, int], occasion: Occasion, root: DataRoot, progress: Progress
) -> _Judged:
    train, folds = how
    photos = load_photos(snapshot, occasion.stages["bottleneck"], train.bottleneck, root)
    head = load_head(root.train(train.key(snapshot)))
    probabilities = head.probabilities(choose(photos.vectors, slice(None), train.predicting_views))
    return _Judged(photos, probabilities, cross_validate(photos, train, folds, progress) if folds else None)


def _judge_network(
    snapshot: str, train: FinetuneSettings, occasion: Occasion, root: DataRoot, progress: Progress
) -> _Judged:
    """Without a cross-validation, which would train as many networks as it has folds."""
    from tasks.train.network import read_network  # noqa: PLC0415 (imports TensorFlow, which a head's figures can do without)
    from tasks.train.pictures import open_pictures  # noqa: PLC0415

    photos = load_pictured(snapshot, occasion.stages["decode"], train.decode, root)
    network = read_network(root.train(train.key(snapshot)), Prepared(train.backbone, occasion.weights))
    everything = np.ones(len(photos.sha256), bool)
    with open_pictures(photos, everything, train.decode, root) as pictures:
        return _Judged(photos, network.probabilities(pictures, progress), None)


def _summarise(
    snapshot: str, settings: EvaluateSettings, occasion: Occasion, evaluation: Evaluation, seconds: float
) -> Summary:
    stages = occasion.stages
    return Summary(
        dataset=occasion.dataset,
        date=occasion.date,
        backbone=settings.train.backbone.name,
        photos=stages.get("bottleneck", stages["decode"]).photos,
        rejected=stages["decode"].details["missing"],
        cross_validation=evaluation.cross_validation,
        seconds={**{name: stage.seconds for name, stage in stages.items()}, "evaluate": seconds},
        provenance=tell_provenance(snapshot, settings, stages),
    )
