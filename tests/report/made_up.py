"""A report of made-up values: drawn photos, and names that a page must not trip over."""

import datetime as dt
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from tasks.champion.decision import Bounds, Comparison, Decision
from tasks.decode.rejections import MissingPhoto
from tasks.evaluate.metrics import CrossValidation, Metrics, measure, wilson_interval
from tasks.paths import AnyPath
from tasks.report.confusion import confusion_figure
from tasks.report.view_model import (
    BottleneckMap,
    Changes,
    Exports,
    Figures,
    Guess,
    LabelChange,
    LabelCount,
    LabelResult,
    MapPoint,
    PhotoPath,
    RepeatedPhoto,
    Report,
    ShownPhoto,
    Summary,
)
from tasks.runs.records import RunRecord
from tasks.snapshot.ignored import IgnoredSummary
from tasks.storage.layout import DataRoot
from tests.support.run_records import keep, record, stage

EVIL = "<script>alert('x')</script> & \"quoted\""
RIGHT_TO_LEFT = "شقائق النعمان"
LABELS = ("daisy", EVIL, RIGHT_TO_LEFT, "雏菊", "a-name-without-any-blank-" + "that-goes-on-" * 8)
DAY = dt.date(2026, 11, 24)


def draw_photo(number: int, side: int = 224, kind: str = "JPEG") -> bytes:
    """A photo of its own for each number."""
    generator = np.random.default_rng(number)
    picture = Image.radial_gradient("L").resize((side, side)).convert("RGB")
    pen = ImageDraw.Draw(picture)
    for _ in range(6):
        (x, y), radius = generator.integers(0, side, 2), int(generator.integers(side // 12, side // 4))
        colour = tuple(int(value) for value in generator.integers(40, 255, 3))
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    buffer = io.BytesIO()
    picture.save(buffer, kind)
    return buffer.getvalue()


def make_up_night(root: AnyPath, days_ago: int, accuracy: float, dataset: str = "flowers") -> RunRecord:
    """A run of the dataset some days before the report's."""
    date = DAY - dt.timedelta(days=days_ago)
    bounds = wilson_interval(round(218 * accuracy), 218)
    return RunRecord(
        run="run",
        location="/photos",
        record=root / "runs" / dataset / f"{date}-0123abcd.json",
        dataset=dataset,
        date=date,
        finished=dt.datetime.combine(date, dt.time(3), dt.UTC),
        snapshot="9f3a51c2",
        model=f"{days_ago:016x}",
        photos=2000 - 10 * days_ago,
        new=10,
        rejected=2,
        test_photos=218,
        accuracy=accuracy,
        low=bounds.low,
        high=bounds.high,
        cross_validated=None,
        verdict="new" if days_ago % 2 else "stays",
        elapsed=12.3 + days_ago,
        report=root / "report" / f"{days_ago:016x}" / "report.html",
        parameters={"backbone": "efficientnet_lite0"},
    )


def publish_night(night: RunRecord) -> None:
    """Write the part of a run's record that a night is read from."""
    interval = {"low": night.low, "high": night.high, "confidence": 0.95}
    metrics = {"test": {"photos": night.test_photos, "accuracy": night.accuracy, "interval": interval}}
    root = DataRoot.above(night.record.parent)
    kept = record(
        root,
        f"{night.date}",
        finished=night.finished.isoformat(),
        elapsed=night.elapsed,
        parameters=dict(night.parameters),
        snapshot=night.snapshot,
        head=night.model,
        champion={"verdict": night.verdict},
        report=str(night.report),
        photos=night.photos,
        rejected=night.rejected,
        metrics={**metrics, "cross_validation": None},
        stages={"decode": stage("d", night.new), "evaluate": stage("e", 0)},
    )
    keep(root, kept, night.dataset, night.record.stem.rpartition("-")[2])


def make_up_decision() -> Decision:
    """A decision for a model that is right on some photos more than the champion."""
    comparison = Comparison(3, 190, 14, 5, 9, Bounds(-0.0005, 0.0738, 0.95), 0.0636)
    reason = f"The new model is not worse than the champion of {EVIL}."
    return Decision("new", "e" * 16, "e" * 16, "f" * 16, DAY, reason, comparison)


def make_up_report(root: Path, labels: Sequence[str] = LABELS, map_points: int = 300) -> Report:
    """A report of a dataset with these labels, whose data root is `root`."""
    generator = np.random.default_rng(7)
    truth = generator.integers(0, len(labels), 60)
    metrics = measure(truth, _probabilities(truth, len(labels), generator), labels)
    nights = [make_up_night(root, days, 0.8 + 0.01 * (9 - days)) for days in range(9, -1, -1)]
    guesses = [_guess(number, labels) for number in range(8)]
    return Report(
        summary=Summary(
            dataset=f"flowers {EVIL}",
            date=DAY,
            backbone="efficientnet_lite0",
            photos=1995,
            rejected=2,
            cross_validation=CrossValidation(5, 0.9312, wilson_interval(1858, 1995), 0.157, 0.008),
            seconds={"decode": 14.62, "bottleneck": 184.2},
            provenance={"Keys": {"snapshot": "9f3a51c2"}, "Parameters": {"note": EVIL, "shrinkage": "0.03,0.1"}},
        ),
        decision=make_up_decision(),
        before=nights[-2],
        changes=Changes(
            nights[-2].date, [LabelChange(label, 3, 1, 0) for label in labels[:3]], _pictures(labels[:3], 100, 2)
        ),
        metrics=metrics,
        labels=label_results(metrics),
        counts=[LabelCount(label, 800 + 40 * place, 50, 60) for place, label in enumerate(labels)],
        notes=[f"Label {EVIL}: validation was filled from the nearest hashes."],
        figures=Figures(
            confusion_figure(metrics.confusion, labels),
            *(_figure(name) for name in ("reliability", "precision", "curve", "trend")),
        ),
        samples=_pictures(labels, 0, 4),
        mistakes=guesses[:5],
        uncertain=guesses[5:],
        rejected=[
            MissingPhoto(f"daisy/{EVIL}.jpg", "truncated", f"ends early {EVIL}"),
            MissingPhoto("x/2.png", "empty", "none"),
        ],
        ignored=IgnoredSummary(
            {"not a photo": 3, "raw photo": 12, "name not UTF-8": 1},
            {"raw photo": [f"raw/{EVIL}.NEF", "raw/2.NEF"], "name not UTF-8": ["caf\\xe9/"]},
            {f"raw {EVIL}": {"raw photo": 12, "not a photo": 1}},
            2,
        ),
        conflicts=[RepeatedPhoto([PhotoPath("daisy/c.jpg", "daisy"), PhotoPath(f"x/{EVIL}", EVIL)], draw_photo(300))],
        duplicates=[RepeatedPhoto([PhotoPath("daisy/d.jpg", "daisy"), PhotoPath("daisy/e.jpg", "daisy")], None)],
        map=BottleneckMap(
            [_point(number, labels, generator) for number in range(map_points)], 2 * map_points, "Made up."
        ),
        exports=Exports({"saved_model": 1.0, "model-int8.tflite": 0.9817}, refused=False, note=""),
        nights=nights,
    )


def make_up_first_report(root: Path) -> Report:
    """A report of a dataset's first run, in which there is nothing to tell beyond the results."""
    report = make_up_report(root)
    perfect = measure(np.arange(len(LABELS)), np.eye(len(LABELS), dtype=np.float32), LABELS)
    decision = Decision("first", "e" * 16, "e" * 16, None, DAY, "The dataset had no champion.", None)
    return replace(
        report,
        summary=replace(report.summary, rejected=0, cross_validation=None),
        decision=decision,
        before=None,
        changes=None,
        metrics=perfect,
        labels=label_results(perfect),
        notes=[],
        figures=replace(report.figures, learning_curve=None, trend=None),
        mistakes=[],
        uncertain=[],
        rejected=[],
        ignored=IgnoredSummary(),
        conflicts=[],
        duplicates=[],
        map=None,
        exports=None,
        nights=report.nights[-1:],
    )


def label_results(metrics: Metrics) -> list[LabelResult]:
    """The metrics by label, with intervals."""
    return [
        LabelResult(
            row.label,
            row.photos,
            row.precision,
            wilson_interval(row.correct, row.predicted) if row.predicted else None,
            row.recall,
            wilson_interval(row.correct, row.photos) if row.photos else None,
            row.f1,
            None if row.recall is None else 0.5,
        )
        for row in metrics.per_label
    ]


def _probabilities(truth: NDArray[np.int64], labels: int, generator: np.random.Generator) -> NDArray[np.float32]:
    scores = generator.random((len(truth), labels)) + 0.8 * np.eye(labels)[truth]
    shares: NDArray[np.float64] = scores / scores.sum(axis=1, keepdims=True)
    return shares.astype(np.float32)


def _pictures(labels: Sequence[str], first: int, each: int) -> list[ShownPhoto]:
    return [
        ShownPhoto(f"{label}/{number}.jpg", label, draw_photo(first + each * place + number))
        for place, label in enumerate(labels)
        for number in range(each)
    ]


def _guess(number: int, labels: Sequence[str]) -> Guess:
    label, predicted = labels[number % len(labels)], labels[(number + (number != 6)) % len(labels)]
    path = f"x/{EVIL}.jpg" if number == 0 else f"{label}/{number}.jpg"
    return Guess(ShownPhoto(path, label, draw_photo(200 + number)), predicted, 0.7 - 0.05 * number, label, 0.2)


def _point(number: int, labels: Sequence[str], generator: np.random.Generator) -> MapPoint:
    label = number % len(labels)
    angle = 2 * np.pi * label / len(labels)
    x, y = np.clip(0.5 + 0.35 * np.array([np.cos(angle), np.sin(angle)]) + generator.normal(0, 0.06, 2), 0, 1)
    predicted = (label + 1) % len(labels) if number % 17 == 0 else label
    path = f"{labels[label]}/{number}.jpg"
    return MapPoint(float(x), float(y), label, "train", predicted, path, draw_photo(number % 40, 64))


def _figure(name: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 200" width="533" height="267" role="img" '
        f'aria-label="{name}"><rect width="400" height="200" fill="var(--ground)" stroke="var(--grid)"/>'
        f'<text x="20" y="40" fill="var(--ink)">{name}</text></svg>'
    )
