"""Evaluates a head: predictions, metrics, figures and report."""

import datetime as dt
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from tasks.artifacts import DataRoot, Manifest, describe, publish_bytes, publish_json, publish_parquet
from tasks.evaluate.cross_validation import cross_validate
from tasks.evaluate.gather import Predicted, gather_report
from tasks.evaluate.metrics import CONFIDENCE, Metrics, measure
from tasks.evaluate.predictions import tabulate_predictions
from tasks.evaluate.report import CrossValidation, Summary, render_report
from tasks.evaluate.settings import EvaluateSettings
from tasks.progress import Progress
from tasks.snapshot.photos import read_snapshot
from tasks.train.head import load_head
from tasks.train.photos import load_photos

PACKAGES = ("tensorflow", "keras", "numpy", "pillow", "pyarrow", "luigi")


@dataclass(frozen=True)
class Occasion:
    """The run that an evaluation was first made for.

    Args:
        dataset: Name of the dataset.
        date: Date of the run.
        stages: Manifests of the stages before, by stage, in their order.
    """

    dataset: str
    date: dt.date
    stages: Mapping[str, Manifest]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a head is worth.

    Args:
        metrics: On the test split.
        cross_validation: Of the same recipe, over all photos.
    """

    metrics: Metrics
    cross_validation: CrossValidation

    def to_json(self) -> dict[str, Any]:
        """Plain Python values: what metrics.json holds."""
        crossed = self.cross_validation
        interval = {**crossed.interval._asdict(), "confidence": CONFIDENCE}
        return {
            "test": self.metrics.to_json(),
            "cross_validation": {"folds": crossed.folds, "accuracy": crossed.accuracy, "interval": interval},
        }


def evaluate(
    snapshot: str, settings: EvaluateSettings, occasion: Occasion, root: DataRoot, progress: Progress
) -> Evaluation:
    """Evaluate the head of a snapshot; publish metrics.json, predictions.parquet, confusion-matrix.png and report.html.

    Args:
        snapshot: Key of the snapshot.
        settings: How to evaluate; they name the head.
        occasion: What the report says of the run.
        root: Where everything is.
        progress: Told of every fold of the cross-validation.
    """
    started = time.monotonic()
    train = settings.train
    photos = load_photos(snapshot, occasion.stages["bottleneck"], train.bottleneck, root)
    head = train.key(snapshot)
    probabilities = load_head(root.train(head)).probabilities(photos.vectors)
    test = photos.of("test")
    metrics = measure(photos.truth[test], probabilities[test], photos.labels)
    predicted = Predicted(photos, probabilities, metrics)
    evaluation = Evaluation(metrics, cross_validate(photos, train, settings.folds, progress))

    key = settings.key(snapshot)
    folder = root.evaluate(key)
    facts = {"labels": list(photos.labels), "snapshot": snapshot, "head": head}
    predictions = tabulate_predictions(photos, probabilities)
    schema = describe(predictions.schema, "evaluate", key, facts)
    publish_parquet(folder / "predictions.parquet", predictions.cast(schema))
    publish_json(folder / "metrics.json", evaluation.to_json())
    summary = _summarise(snapshot, settings, occasion, evaluation, time.monotonic() - started)
    report = gather_report(summary, predicted, read_snapshot(root, snapshot), train.bottleneck.decode, root)
    publish_bytes(folder / "confusion-matrix.png", report.confusion_matrix)
    publish_bytes(folder / "report.html", render_report(report).encode())
    return evaluation


def _summarise(
    snapshot: str, settings: EvaluateSettings, occasion: Occasion, evaluation: Evaluation, seconds: float
) -> Summary:
    stages = occasion.stages
    return Summary(
        dataset=occasion.dataset,
        date=occasion.date,
        backbone=settings.train.bottleneck.backbone,
        photos=stages["bottleneck"].photos,
        rejected=stages["decode"].details["missing"],
        cross_validation=evaluation.cross_validation,
        seconds={**{name: stage.seconds for name, stage in stages.items()}, "evaluate": seconds},
        provenance=_provenance(snapshot, settings, occasion),
    )


def _provenance(snapshot: str, settings: EvaluateSettings, occasion: Occasion) -> dict[str, str]:
    train, bottleneck = settings.train, settings.train.bottleneck
    keys = {f"{name} key": stage.key for name, stage in occasion.stages.items()}
    return {
        "snapshot": snapshot,
        **keys,
        "evaluate key": settings.key(snapshot),
        "weights of the backbone": f"sha256 {bottleneck.weights_sha256}",
        "input": f"{bottleneck.decode.size} x {bottleneck.decode.size} px, {bottleneck.decode.resampling}, "
        f"(x - {bottleneck.mean:g}) / {bottleneck.scale:g}, {bottleneck.precision}",
        "views": str(bottleneck.views),
        "L2": f"{occasion.stages['train'].details['l2']:g}, chosen from {', '.join(f'{l2:g}' for l2 in train.l2)}",
        "training": f"at least {train.epochs} epochs, batches of {train.batch_size}, rate {train.learning_rate:g}, "
        f"averaging {train.averaging:g}, class weights {'on' if train.class_weights else 'off'}, seed {train.seed}",
        "versions": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
    }
