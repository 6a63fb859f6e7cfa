"""A report of made-up values: drawn photos, and names that a page must escape."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.champion.decision import Bounds, Comparison, Decision
from tasks.decode.rejections import MissingPhoto
from tasks.drift.result import DriftResult, PropertyTest
from tasks.evaluate.label_issues import LabelIssue
from tasks.evaluate.metrics import measure, wilson_interval
from tasks.paths import AnyPath
from tasks.report.build import Figures, Report
from tasks.report.confusion import confusion_figure
from tasks.report.dataset import LabelChange, LabelCount, PhotoPath, RepeatedPhoto, RepeatedPhotos, SnapshotChanges
from tasks.report.drift import ShownDrift
from tasks.report.gallery import Guess, ShownPhoto
from tasks.report.inline_images import tile_pictures
from tasks.report.label_issues import ShownIssue, ShownIssues
from tasks.report.map import BottleneckMap, MapPoint
from tasks.report.near_duplicates import DuplicateGroup, NearDuplicate, ShownDuplicates
from tasks.report.results import PrecisionRecall, Results
from tasks.runs.records import RunRecord
from tasks.snapshot.ignored import IgnoredSummary
from tasks.storage.layout import DataRoot
from tests.decode.drawing import encode
from tests.support.data_root import DAY, draw_probabilities, first_decision, keep, record

EVIL = "<script>alert('x')</script> & \"quoted\""
RIGHT_TO_LEFT = "شقائق النعمان"
#: A decision on a model that predicts some more photos rightly than the champion.
DECISION = Decision(
    verdict="new",
    model="e" * 16,
    champion="e" * 16,
    former="f" * 16,
    since=DAY,
    reason=f"The new model is not worse than the champion of {EVIL}.",
    comparison=Comparison(3, 190, 14, 5, 9, Bounds(-0.0005, 0.0738, 0.95), 0.0636),
)
#: A comparison of new photos of which two properties differ.
DRIFT = DriftResult(
    new=200,
    earlier=1500,
    sampled=(190, 1490),
    tests=(
        PropertyTest(f"label {EVIL}", "share", 0.4, 0.2, 0.44, 0.000012),
        PropertyTest("vectors", "distance", 1.53, 0.0, 1.53, 0.0022),
        PropertyTest("pixels", "number", 76800.0, 120000.0, 0.1, 0.6),
    ),
)
LABELS = ("daisy", EVIL, RIGHT_TO_LEFT, "雏菊", "a-name-without-any-blank-" + "that-goes-on-" * 8)


def draw_photo(number: int, side: int = 224) -> bytes:
    """Draw a photo that is like no other number's, as a JPEG file."""
    pixels = np.random.default_rng(number).integers(0, 256, (16, 16, 3), np.uint8)
    return encode(Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC), "JPEG")


def make_up_run(root: AnyPath, days_ago: int, accuracy: float, dataset: str = "flowers") -> RunRecord:
    """Return a run some days before the report's."""
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


def keep_previous(root: DataRoot, days_ago: int, snapshot: str) -> AnyPath:
    """Keep the record of a run of a snapshot some days before the report's, and return its path."""
    return keep(root, record(root, f"{DAY - dt.timedelta(days_ago)}", snapshot=snapshot))


def make_up_report(root: Path, labels: Sequence[str] = LABELS, map_points: int = 300) -> Report:
    """Return a report of a dataset with these labels, whose data root is `root`."""
    generator = np.random.default_rng(7)
    results = results_of(generator.integers(0, len(labels), 60), draw_probabilities(60, len(labels)), labels)
    runs = [make_up_run(root, days, 0.8 + 0.01 * (9 - days)) for days in range(9, -1, -1)]
    points = sorted(
        (_point(number, labels, generator) for number in range(map_points)),
        key=lambda point: (point.label, point.wrong),
    )
    guesses = [_guess(number, labels) for number in range(8)]
    sheets = tile_pictures([draw_photo(number % 40, 64) for number in range(map_points)])
    return Report(
        runs=[*runs[:-1], replace(runs[-1], dataset=f"flowers {EVIL}")],
        backbone="efficientnet_lite0",
        cross_validation={
            "folds": 5,
            "accuracy": 0.9312,
            "interval": {"low": 0.919, "high": 0.942},
            "log_loss": 0.157,
            "expected_calibration_error": 0.008,
        },
        folds="over all photos, 5 folds",
        seconds={"decode": 14.62, "bottleneck": 184.2},
        provenance={"Keys": {"snapshot": "9f3a51c2"}, "Parameters": {"note": EVIL, "shrinkage": "0.03,0.1"}},
        decision=DECISION,
        changes=SnapshotChanges([LabelChange(label, 3, 1, 0) for label in labels[:3]], []),
        added=_photos(labels[:3], 100, 2),
        drift=ShownDrift(DRIFT, {f"label {EVIL}": _photos([EVIL], 600, 2)}),
        results=results,
        counts=[LabelCount(label, 800 + 40 * number, 50, 60) for number, label in enumerate(labels)],
        notes=[f"Label {EVIL}: validation was filled from the nearest hashes."],
        figures=Figures(
            confusion_figure(results.metrics.confusion, labels),
            *(_figure(name) for name in ("reliability", "precision", "curve", "trend")),
        ),
        samples=_photos(labels, 0, 4),
        mistakes=guesses[:5],
        uncertain=guesses[5:],
        label_issues=ShownIssues(30, [_issue(number, labels) for number in range(4)]),
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
        repeated=RepeatedPhotos(
            [RepeatedPhoto("c", [PhotoPath("daisy/c.jpg", "daisy"), PhotoPath(f"x/{EVIL}", EVIL)])],
            [RepeatedPhoto("d", [PhotoPath("daisy/d.jpg", "daisy"), PhotoPath("daisy/e.jpg", "daisy")])],
        ),
        repeated_images={"c": draw_photo(300)},
        near_duplicates=ShownDuplicates(
            [_group(400, labels[:2], 2), _group(402, [labels[0]] * 4, 6)],
            {"groups": 30, "photos": 70, "with_different_labels": 1},
            {"left_out": 9, "photos": 51, "accuracy": 0.185, "interval": {"low": 0.1, "high": 0.3}},
            root / "evaluate" / "cafe" / "near_duplicates.parquet",
        ),
        map=BottleneckMap(points, labels, 2 * map_points, "Made up.", sheets),
        exports={"test": {"saved_model": {"agreement": 1.0}, "model-int8.tflite": {"agreement": 0.9817}}},
    )


def make_up_first_report(root: Path) -> Report:
    """Return a report of a dataset's first run, with results and nothing else."""
    report = make_up_report(root)
    return replace(
        report,
        runs=[replace(report.run, rejected=0)],
        cross_validation=None,
        decision=first_decision("e" * 16),
        changes=None,
        added=[],
        drift=ShownDrift(DriftResult(), {}),
        results=results_of(np.arange(len(LABELS)), np.eye(len(LABELS), dtype=np.float32), LABELS),
        notes=[],
        figures=replace(report.figures, learning_curve=None, trend=None),
        mistakes=[],
        uncertain=[],
        label_issues=None,
        rejected=[],
        ignored=IgnoredSummary(),
        repeated=RepeatedPhotos([], []),
        repeated_images={},
        near_duplicates=ShownDuplicates([], {"groups": 0, "photos": 0, "with_different_labels": 0}, None, root / "x"),
        map=None,
        exports=None,
    )


def results_of(truth: NDArray[np.int64], probabilities: NDArray[np.float32], labels: Sequence[str]) -> Results:
    """Return results whose curves are not measured, since some labels may have no photo."""
    curve = PrecisionRecall(np.ones(1), np.ones(1), 0.5)
    return Results(measure(truth, probabilities, labels), dict.fromkeys(labels, curve), curve, [])


def _photos(labels: Sequence[str], first: int, each: int) -> list[ShownPhoto]:
    return [
        ShownPhoto(f"{label}/{number}.jpg", label, draw_photo(first + each * index + number))
        for index, label in enumerate(labels)
        for number in range(each)
    ]


def _group(first: int, labels: Sequence[str], photos: int) -> DuplicateGroup:
    shown = [ShownPhoto(f"{label}/{first + at}.jpg", label, draw_photo(first + at)) for at, label in enumerate(labels)]
    near = [NearDuplicate(photo, "test", 0.8) for photo in shown]
    return DuplicateGroup(near, photos, len(set(labels)))


def _guess(number: int, labels: Sequence[str]) -> Guess:
    label, predicted = labels[number % len(labels)], labels[(number + (number != 6)) % len(labels)]
    path = f"x/{EVIL}.jpg" if number == 0 else f"{label}/{number}.jpg"
    return Guess(ShownPhoto(path, label, draw_photo(200 + number)), predicted, 0.7 - 0.05 * number, label, 0.2)


def _issue(number: int, labels: Sequence[str]) -> ShownIssue:
    label, suggested, path = labels[number % len(labels)], labels[(number + 1) % len(labels)], f"x/{number}, {EVIL}.jpg"
    issue = LabelIssue(f"{number:064x}", path, label, suggested, 0.01, 0.98, 0.0 if number == 1 else 0.01, number < 3)
    return ShownIssue(ShownPhoto(path, label, draw_photo(500 + number)), issue)


def _point(number: int, labels: Sequence[str], generator: np.random.Generator) -> MapPoint:
    label = number % len(labels)
    angle = 2 * np.pi * label / len(labels)
    x, y = np.clip(0.5 + 0.35 * np.array([np.cos(angle), np.sin(angle)]) + generator.normal(0, 0.06, 2), 0, 1)
    predicted = (label + 1) % len(labels) if number % 17 == 0 else label
    path = f"{labels[label]}/{number}.jpg"
    return MapPoint(float(x), float(y), label, "train", predicted, path)


def _figure(name: str) -> str:
    return (
        f'<svg viewBox="0 0 400 200" role="img" aria-label="{name}"><text y="40" fill="var(--ink)">{name}</text></svg>'
    )
