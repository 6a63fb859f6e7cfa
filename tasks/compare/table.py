"""The table of a comparison: one row a cell."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import pyarrow as pa

from tasks.compare.settings import ALL, WAYS
from tasks.evaluate.metrics import Interval, wilson_interval
from tasks.shards.manifests import Manifest
from tasks.shards.schemas import COMPARISON


def tabulate_cells(cells: Sequence[Manifest]) -> pa.Table:
    """Make the table, with the columns of `COMPARISON`, a row a cell in the order given."""
    return pa.Table.from_pylist([_row(cell) for cell in cells], COMPARISON)


def _row(cell: Manifest) -> dict[str, object]:
    details, settings = cell.details, cell.settings
    correct, total = details["correct"], details["test_photos"]
    interval = wilson_interval(correct, total)
    return {
        "way": settings["way"],
        "photos_per_label": settings["photos_per_label"] or None,
        "seed": settings["seed"],
        "photos": details["photos"],
        "test_photos": total,
        "correct": correct,
        "accuracy": correct / total,
        "low": interval.low,
        "high": interval.high,
        "seconds": details["seconds"],
        "passes": details["passes"],
        "cut": details["cut"],
        "cell": cell.key,
    }


@dataclass(frozen=True)
class AveragedResult:
    """One way on one number of photos, over all draws of them.

    Args:
        way: Which way.
        photos_per_label: Training photos a label; 0 is all.
        photos: Training photos in all.
        draws: How often they were drawn.
        accuracy: Mean accuracy of the draws.
        interval: 95 % interval of the accuracy (Wilson), as if the draws' mean were of one test: the draws share their
            test photos, so more of them make it no narrower.
        least: The least accurate draw.
        most: The most accurate one.
        seconds: Mean time of training.
        passes: Mean number of photos that went through the network.
        cut: Whether any of them ran out of time.
    """

    way: str
    photos_per_label: int
    photos: int
    draws: int
    accuracy: float
    interval: Interval
    least: float
    most: float
    seconds: float
    passes: float
    cut: bool


def average(table: pa.Table) -> list[AveragedResult]:
    """Average the draws of each way and number of photos: ways in their order, then from few photos to many."""
    groups = defaultdict(list)
    for row in table.to_pylist():
        groups[row["way"], row["photos_per_label"] or ALL].append(row)
    points = [_point(way, size, rows) for (way, size), rows in groups.items()]
    order: dict[str, int] = {way: place for place, way in enumerate(WAYS)}
    return sorted(points, key=lambda point: (order[point.way], point.photos, point.photos_per_label == ALL))


def _point(way: str, size: int, rows: list[dict[str, object]]) -> AveragedResult:
    def mean(name: str) -> float:
        return fmean(float(row[name]) for row in rows)  # type: ignore[arg-type]  # columns of numbers

    total = int(rows[0]["test_photos"])  # type: ignore[call-overload]  # likewise
    accuracies = [float(row["accuracy"]) for row in rows]  # type: ignore[arg-type]
    return AveragedResult(
        way=way,
        photos_per_label=size,
        photos=round(mean("photos")),
        draws=len(rows),
        accuracy=mean("accuracy"),
        interval=wilson_interval(round(mean("correct")), total),
        least=min(accuracies),
        most=max(accuracies),
        seconds=mean("seconds"),
        passes=mean("passes"),
        cut=any(bool(row["cut"]) for row in rows),
    )
