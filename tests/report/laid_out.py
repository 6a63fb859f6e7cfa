"""A data root as the stages before the report leave it, of drawn photos."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.champion.decision import Decision
from tasks.evaluate.evaluation import Evaluation
from tasks.evaluate.metrics import CrossValidation, measure, wilson_interval
from tasks.evaluate.predictions import tabulate_predictions
from tasks.evaluate.settings import EvaluateSettings
from tasks.paths import AnyPath
from tasks.report.reported_run import ReportedRun
from tasks.shards.manifests import Manifest
from tasks.shards.parquet import publish_parquet
from tasks.shards.schemas import SNAPSHOT, describe
from tasks.snapshot.ignored import IgnoredSummary
from tasks.storage.layout import DataRoot
from tasks.train.head import Head, save_head
from tasks.train.photos import EmbeddedPhotos
from tests.bottleneck.pictures import add_bottlenecks, decoded_store, key_of, manifest_of
from tests.evaluate.drawing import Probabilities, draw_probabilities
from tests.support.run_records import keep, record
from tests.train.examples import BOTTLENECK, draw_examples, photos_of, settings

LABELS = ("daisy", "roses", "tulips")
SETTINGS = EvaluateSettings(settings(), folds=5)
(DECODE,) = SETTINGS.train.decodes
DAY = dt.date(2026, 11, 24)
#: What the train stage says that it chose.
CHOSEN = {"shrinkage": 0.1, "layer_weight": 1.0, "temperature": 3.9}
#: Photos of each label: enough that the test split has some two dozen.
COUNTS = (70, 80, 60)


def draw_photos(counts: tuple[int, ...] = COUNTS, labels: tuple[str, ...] = LABELS) -> EmbeddedPhotos:
    """Draw photos; that of number n lies at <label>/<n>.jpg."""
    return photos_of(draw_examples(counts, width=max(10, len(counts))), labels)


def row(number: int, path: str, *, duplicate_of: str | None = None, conflict: bool = False) -> dict[str, object]:
    """A row of a snapshot."""
    label, key = path.split("/", maxsplit=1)[0], key_of(number)
    place = {"sha256": key, "path": path, "label": label, "bytes": 1}
    return {**place, "duplicate_of": duplicate_of, "conflict": conflict}


def rows_of(photos: EmbeddedPhotos) -> list[dict[str, object]]:
    """The rows of a snapshot of nothing but these photos."""
    return [row(int(path.partition("/")[2].removesuffix(".jpg")), path) for path in photos.paths]


def take(root: DataRoot, key: str, rows: Sequence[dict[str, object]]) -> None:
    """Publish a snapshot."""
    table = pa.Table.from_pylist(sorted(rows, key=lambda one: str(one["path"])), SNAPSHOT)
    publish_parquet(root.snapshot(key), table)


@dataclass(frozen=True, eq=False)
class LaidOut:
    """A run of drawn photos, up to the decision on the champion.

    Args:
        root: The data root.
        photos: The photos.
        probabilities: What is said of them.
        occasion: The run.
    """

    root: DataRoot
    photos: EmbeddedPhotos
    probabilities: Probabilities
    occasion: ReportedRun


def lay_out(
    folder: Path, photos: EmbeddedPhotos, probabilities: Probabilities | None = None, extra: Sequence[Any] = ()
) -> LaidOut:
    """Leave a data root as the stages before the report do.

    Args:
        folder: Where.
        photos: As `draw_photos` gives them.
        probabilities: What the model says of them; None draws it.
        extra: More rows of the snapshot.
    """
    root, count = DataRoot(folder / "data"), len(photos.sha256)
    said = draw_probabilities(count, len(photos.labels)) if probabilities is None else probabilities
    take(root, "snap", [*rows_of(photos), *extra])
    numbers = range(count)
    shard = add_bottlenecks(BOTTLENECK.store(root), numbers, 2, BOTTLENECK.backbone.width)
    test = photos.of("test")
    evaluation = Evaluation(
        measure(photos.truth[test], said[test], photos.labels),
        CrossValidation(5, 0.9, wilson_interval(9, 10), 0.3, 0.02),
    )
    _say(root, photos, said)
    model = SETTINGS.train.key("snap")
    weights = np.zeros((BOTTLENECK.backbone.width, len(photos.labels)), np.float32)
    save_head(Head(photos.labels, weights, weights[0], rooted=True, facts={}), root.train(model))
    decision = Decision("first", model, model, None, DAY, "The model is the first of its dataset.", None)
    stages = {
        "decode": replace(decoded_store(root, DECODE, [numbers]), details={"missing": 0}),
        "bottleneck": manifest_of("bottleneck", count, [shard]),
        "train": replace(manifest_of("train", count, []), key=model, details=CHOSEN),
        "evaluate": replace(manifest_of("evaluate", count, []), key=SETTINGS.key("snap"), details=evaluation.to_json()),
        "champion": replace(manifest_of("champion", 0, []), details=decision.to_json()),
    }
    return LaidOut(root, photos, said, _occasion(folder, root, stages))


def _say(root: DataRoot, photos: EmbeddedPhotos, probabilities: Probabilities) -> None:
    key = SETTINGS.key("snap")
    table = tabulate_predictions(photos, probabilities)
    schema = describe(table.schema, "evaluate", key, {"labels": list(photos.labels)})
    publish_parquet(root.evaluate(key) / "predictions.parquet", table.cast(schema))


def _occasion(folder: Path, root: DataRoot, stages: Mapping[str, Manifest]) -> ReportedRun:
    return ReportedRun(
        run="test",
        dataset="flowers",
        date=DAY,
        snapshot="snap",
        folder=folder / "photos",
        settings=SETTINGS,
        parameters={"shrinkage": "0.1,1.0", "min_accuracy": "0.5"},
        stages=stages,
        ignored=IgnoredSummary(),
        record=root.runs("flowers") / f"{DAY}-0123abcd.json",
        report=root.report("key") / "report.html",
    )


def keep_record(root: DataRoot, date: dt.date, snapshot: str, accuracy: float = 0.8) -> AnyPath:
    """Keep the record of a run."""
    bounds = wilson_interval(round(20 * accuracy), 20)
    test = {"photos": 20, "accuracy": accuracy, "interval": bounds._asdict()}
    changes = {"elapsed": 60.0, "snapshot": snapshot, "head": "aaaa", "photos": 200, "rejected": 0}
    metrics = {"test": test, "cross_validation": None}
    report = str(root.report("old") / "report.html")
    return keep(root, record(root, f"{date}", **changes, metrics=metrics, report=report), parameters="89abcdef")
