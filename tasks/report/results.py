"""What the test split says of a model, label by label and as figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tasks.evaluate.metrics import Interval, Metrics, measure, wilson_interval
from tasks.report.confusion import confusion_figure
from tasks.report.curves import PrecisionRecall, bins_of_confidence, precision_recall
from tasks.report.figures import precision_recall_figure, reliability_figure
from tasks.report.predictions import Predicted
from tasks.report.view_model import LabelCount, LabelResult
from tasks.snapshot.splits import SPLITS


@dataclass(frozen=True, eq=False)
class Results:
    """How good a model is on the test split.

    Args:
        metrics: In numbers.
        labels: The same by label, in the labels' order.
        confusion: The confusion matrix, an SVG element.
        reliability: Accuracy against confidence, an SVG element.
        precision_recall: Precision against recall, an SVG element.
    """

    metrics: Metrics
    labels: Sequence[LabelResult]
    confusion: str
    reliability: str
    precision_recall: str


def judge(predicted: Predicted) -> Results:
    """Measure and draw what a model says of the test split."""
    photos = predicted.photos
    test = photos.of("test")
    truth, probabilities = photos.truth[test], predicted.probabilities[test]
    metrics = measure(truth, probabilities, photos.labels)
    has = truth[:, None] == np.arange(len(photos.labels))
    # Every split has a photo of every label, so that there is something to be found.
    curves = [precision_recall(has[:, place], probabilities[:, place]) for place in range(len(photos.labels))]
    by_label = dict(zip(photos.labels, curves, strict=True))
    return Results(
        metrics=metrics,
        labels=_by_label(metrics, by_label),
        confusion=confusion_figure(metrics.confusion, photos.labels),
        reliability=reliability_figure(bins_of_confidence(truth, probabilities)),
        precision_recall=precision_recall_figure(by_label, precision_recall(has.ravel(), probabilities.ravel())),
    )


def count_photos(predicted: Predicted) -> list[LabelCount]:
    """Count the photos of each label in each split."""
    photos = predicted.photos
    labels = len(photos.labels)
    table = np.bincount(photos.truth * len(SPLITS) + photos.splits.ids, minlength=labels * len(SPLITS))
    rows = table.reshape(labels, len(SPLITS)).tolist()
    return [LabelCount(label, *row) for label, row in zip(photos.labels, rows, strict=True)]


def _by_label(metrics: Metrics, curves: Mapping[str, PrecisionRecall]) -> list[LabelResult]:
    return [
        LabelResult(
            label=one.label,
            photos=one.photos,
            precision=one.precision,
            precision_interval=_interval(one.correct, one.predicted),
            recall=one.recall,
            recall_interval=_interval(one.correct, one.photos),
            f1=one.f1,
            average_precision=curves[one.label].average,
        )
        for one in metrics.per_label
    ]


def _interval(correct: int, total: int) -> Interval | None:
    return wilson_interval(correct, total) if total else None
