"""Data roots as the stages leave them, of photos that are drawn from their numbers: no network, no training.

Photo n has the key `key_of(n)`, the picture `draw(n, 8)` and the bottlenecks `numbers_of(n, 2, 10)`.
"""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.champion.champion_file import Champion
from tasks.champion.decision import Decision
from tasks.drift.result import DriftResult
from tasks.evaluate.metrics import measure
from tasks.evaluate.predictions import PredictedPhotos, Probabilities, publish_predictions
from tasks.evaluate.settings import EvaluateSettings
from tasks.paths import AnyPath
from tasks.report.reported_run import ReportedRun
from tasks.runs.records import RunRecord
from tasks.shards.manifests import Manifest
from tasks.shards.parquet import publish_parquet
from tasks.shards.schemas import PREDICTIONS, SNAPSHOT
from tasks.snapshot.ignored import IgnoredSummary
from tasks.storage.files import publish_bytes
from tasks.storage.layout import DataRoot
from tasks.train.head import Head, save_head
from tasks.train.photos import EmbeddedPhotos
from tasks.train.settings import TrainSettings
from tasks.train.training_state import Training, announce
from tests.bottleneck.pictures import add_bottlenecks, decoded_store, key_of, manifest_of
from tests.train.examples import BOTTLENECK, draw_examples, photos_of, settings

DATASET = "flowers"
SNAPSHOT_KEY = "snap"
LABELS = ("daisy", "roses", "tulips")
DAY = dt.date(2026, 11, 24)
#: Photos of each label: enough for some two dozen in the test split.
COUNTS = (70, 80, 60)
SETTINGS = EvaluateSettings(settings(), folds=5)
INTERVAL = {"low": 0.85, "high": 0.95, "confidence": 0.95}
TEST = {"photos": 4, "accuracy": 0.75, "interval": {"low": 0.3, "high": 0.95, "confidence": 0.95}}
#: Details of the train stage.
CHOSEN = {"shrinkage": 0.1, "layer_weight": 1.0, "temperature": 3.9}


def draw_probabilities(photos: int, labels: int, seed: int = 0) -> Probabilities:
    """Draw probabilities: float32 [N, C], each row sums to 1."""
    return np.random.default_rng(seed).dirichlet([1.0] * labels, photos).astype(np.float32)


def draw_photos(
    counts: tuple[int, ...] = COUNTS,
    labels: tuple[str, ...] = LABELS,
    apart: float = 1.0,
    how: TrainSettings | None = None,
) -> EmbeddedPhotos:
    """Draw photos of the first labels; photo n lies at <label>/<n>.jpg. `apart` is as in `draw_examples`."""
    drawn = draw_examples(counts, width=max(10, len(counts)), apart=apart)
    return photos_of(drawn, labels[: len(counts)], how)


def snapshot_row(number: int, path: str, *, duplicate_of: str | None = None, conflict: bool = False) -> dict[str, Any]:
    photo = {"sha256": key_of(number), "path": path, "label": path.split("/", maxsplit=1)[0], "bytes": 1}
    return {**photo, "duplicate_of": duplicate_of, "conflict": conflict}


def snapshot_rows(photos: EmbeddedPhotos) -> list[dict[str, Any]]:
    return [snapshot_row(int(path.partition("/")[2].removesuffix(".jpg")), path) for path in photos.paths]


def publish_snapshot(root: DataRoot, rows: Sequence[dict[str, Any]], key: str = SNAPSHOT_KEY) -> None:
    table = pa.Table.from_pylist(sorted(rows, key=lambda row: str(row["path"])), SNAPSHOT)
    publish_parquet(root.snapshot(key), table)


def predict_as(root: DataRoot, evaluation: str, photos: Mapping[int, tuple[str, str, str]]) -> None:
    """Publish the predictions of an evaluation: label, predicted label and split by number."""
    rows = [
        {
            "sha256": key_of(number),
            "path": f"{label}/{number}.png",
            "label": label,
            "predicted": predicted,
            "probabilities": [1.0],
            "split": split,
        }
        for number, (label, predicted, split) in sorted(photos.items(), key=lambda item: key_of(item[0]))
    ]
    publish_parquet(root.evaluate(evaluation) / "predictions.parquet", pa.Table.from_pylist(rows, PREDICTIONS))


def keep_head(
    root: DataRoot, seed: int = 0, how: TrainSettings | None = None, labels: Sequence[str] = LABELS
) -> tuple[str, Head]:
    """Keep a head with drawn weights as the train stage does; return its key and the head."""
    how = replace(how or settings(), seed=seed)
    folder = root.train(how.key(SNAPSHOT_KEY))
    widths = [backbone.width if how.rooted else backbone.widths[0] for backbone in how.backbones]
    weights = np.random.default_rng(seed).normal(size=(sum(widths), len(labels))).astype(np.float32)
    head = Head(tuple(labels), weights, np.zeros(len(labels), np.float32), how.rooted, {})
    announce(Training(how, SNAPSHOT_KEY), folder)
    save_head(head, folder)
    manifest = replace(manifest_of("train", 1, []), key=folder.name, snapshot=SNAPSHOT_KEY, settings=asdict(how))
    replace(manifest, details={"labels": list(labels)}).publish(folder / "manifest.json")
    return folder.name, head


def first_decision(model: str, since: dt.date = DAY) -> Decision:
    return Decision("first", model, model, None, since, "First model of this dataset.", None)


def first_champion(model: str, since: dt.date = DAY, evaluation: str = "before") -> Champion:
    """Return a champion that was the first of its dataset."""
    return Champion(model, since, evaluation, SNAPSHOT_KEY, "run", TEST, "decided", first_decision(model, since))


def stage(key: str, new: int, seconds: float = 0.0, imports: float = 0.0) -> dict[str, Any]:
    return {"key": key, "new": new, "seconds": seconds, "startup": {"imports": imports} if imports else {}}


def record(root: DataRoot, date: str, **changes: Any) -> dict[str, Any]:
    """Return the record of a run that trained a head, with some keys replaced."""
    values: dict[str, Any] = {
        "schema_version": 1,
        "run": f"{date}-run",
        "date": date,
        "finished": f"{date}T03:00:00+00:00",
        "elapsed": 12.5,
        "dataset": {"name": DATASET, "location": "/photos"},
        "parameters": {"views": "2"},
        "snapshot": SNAPSHOT_KEY,
        "head": "0123456789abcdef",
        "network": None,
        "photos": 1200,
        "rejected": 3,
        "metrics": {
            "test": {"photos": 120, "accuracy": 0.9, "interval": INTERVAL},
            "cross_validation": {"folds": 5, "accuracy": 0.925, "interval": INTERVAL},
        },
        "champion": {"verdict": "new"},
        "report": str(root.report(f"of-{date}") / "report.html"),
        "seconds": 11.0,
        "stages": {"decode": stage("d", 20), "bottleneck": stage("b", 25), "evaluate": stage("e", 0)},
    }
    return {**values, **changes}


def keep(root: DataRoot, kept: Mapping[str, Any], dataset: str = DATASET, parameters: str = "aaaaaaaa") -> AnyPath:
    """Keep a record where the run of these parameters would."""
    path = root.runs(dataset) / f"{kept['date']}-{parameters}.json"
    publish_bytes(path, json.dumps(kept).encode())
    return path


def keep_run(run: RunRecord) -> None:
    """Keep the record of a run at its path."""
    root = DataRoot.above(run.record.parent)
    test = {"photos": run.test_photos, "accuracy": run.accuracy, "interval": {"low": run.low, "high": run.high}}
    values = record(
        root,
        f"{run.date}",
        finished=run.finished.isoformat(),
        elapsed=run.elapsed,
        dataset={"name": run.dataset, "location": run.location},
        snapshot=run.snapshot,
        head=run.model,
        photos=run.photos,
        rejected=run.rejected,
        metrics={"test": test, "cross_validation": None},
        champion={"verdict": run.verdict},
        report=str(run.report),
        stages={"decode": stage("d", run.new), "evaluate": stage("e", 0)},
    )
    publish_bytes(run.record, json.dumps(values).encode())


@dataclass(frozen=True, eq=False)
class StagedRun:
    """A run of drawn photos in which every stage up to the decision on the champion has done its work."""

    root: DataRoot  #: The data root.
    predicted: PredictedPhotos  #: The photos and their predictions.
    run: ReportedRun


def stage_run(
    folder: Path, photos: EmbeddedPhotos, probabilities: Probabilities | None = None, extra: Sequence[Any] = ()
) -> StagedRun:
    """Leave a data root as the stages before the report do.

    Args:
        folder: Folder of the data root, `data`, and of the photos, `photos`.
        photos: As `draw_photos` returns them.
        probabilities: Predictions; None draws them.
        extra: More rows of the snapshot.
    """
    root, count = DataRoot(folder / "data"), len(photos.sha256)
    drawn = draw_probabilities(count, len(photos.labels)) if probabilities is None else probabilities
    predicted = PredictedPhotos(photos, drawn)
    publish_snapshot(root, [*snapshot_rows(photos), *extra])
    shard = add_bottlenecks(BOTTLENECK.store(root), range(count), 2, BOTTLENECK.backbone.width)
    publish_predictions(root.evaluate(SETTINGS.key(SNAPSHOT_KEY)), predicted, {})
    test = photos.of("test")
    crossed = {"folds": 5, "accuracy": 0.9, "interval": INTERVAL, "log_loss": 0.3, "expected_calibration_error": 0.02}
    metrics = measure(photos.truth[test], drawn[test], photos.labels).to_json()
    model, _ = keep_head(root, labels=photos.labels)
    stages = {
        "decode": replace(decoded_store(root, SETTINGS.train.decodes[0], [range(count)]), details={"missing": 0}),
        "bottleneck": manifest_of("bottleneck", count, [shard]),
        "drift": replace(manifest_of("drift", 0, []), details=DriftResult().to_json()),
        "train": replace(manifest_of("train", count, []), key=model, details=CHOSEN),
        "evaluate": replace(manifest_of("evaluate", count, []), key=SETTINGS.key(SNAPSHOT_KEY)),
        "champion": replace(manifest_of("champion", 0, []), details=first_decision(model).to_json()),
    }
    details = {"test": metrics, "cross_validation": crossed, "label_issues": None}
    stages["evaluate"] = replace(stages["evaluate"], details=details)
    return StagedRun(root, predicted, reported_run(folder, root, stages))


def reported_run(
    folder: Path, root: DataRoot, stages: Mapping[str, Manifest], how: EvaluateSettings = SETTINGS
) -> ReportedRun:
    return ReportedRun(
        run_id="test",
        dataset=DATASET,
        date=DAY,
        snapshot=SNAPSHOT_KEY,
        folder=folder / "photos",
        settings=how,
        parameters={"shrinkage": "0.1,1.0", "min_accuracy": "0.5"},
        stages=stages,
        ignored=IgnoredSummary(),
        record=root.runs(DATASET) / f"{DAY}-0123abcd.json",
        report=root.report("key") / "report.html",
    )
