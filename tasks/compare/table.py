"""The table of a comparison, one row a cell, and its averages over draws."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import pyarrow as pa

from tasks.compare.settings import ALL, WAYS, Way
from tasks.evaluate.metrics import Interval, wilson_interval
from tasks.shards.manifests import Manifest
from tasks.shards.schemas import COMPARISON


def tabulate_cells(cells: Sequence[Manifest]) -> pa.Table:
    """Make the table: columns of `COMPARISON`, a row a cell in the order given."""
    return pa.Table.from_pylist([_row(cell) for cell in cells], COMPARISON)


def _row(cell: Manifest) -> dict[str, object]:
    details, settings = cell.details, cell.settings
    correct, total = details["correct"], details["test_photos"]
    return {
        **details,
        **wilson_interval(correct, total)._asdict(),
        "way": settings["way"],
        "photos_per_label": settings["photos_per_label"] or None,
        "seed": settings["seed"],
        "accuracy": correct / total,
        "cell": cell.key,
    }


@dataclass(frozen=True)
class AveragedResult:
    """Result of one way on one number of photos, averaged over the draws."""

    way: Way
    photos_per_label: int  #: Training photos a label; 0 is all.
    photos: int  #: Training photos of all labels.
    draws: int  #: Number of draws.
    accuracy: float  #: Mean accuracy.
    #: 95 % interval (Wilson) of the mean accuracy as that of one test: the draws share their test photos, so more draws
    #: do not make it narrower.
    interval: Interval
    least: float  #: Least accuracy of a draw.
    most: float  #: Greatest accuracy of a draw.
    seconds: float  #: Mean time of training.
    passes: float  #: Mean number of photos that went through the network.
    cut: bool  #: Whether any draw ran out of time.


def average(table: pa.Table) -> list[AveragedResult]:
    """Average the draws of each way and number of photos: ways in their order, then from few photos to many."""
    groups = defaultdict(list)
    for row in table.to_pylist():
        groups[row["way"], row["photos_per_label"] or ALL].append(row)
    results = [_average(rows, way, size) for (way, size), rows in groups.items()]
    ways = list(WAYS)
    return sorted(results, key=lambda one: (ways.index(one.way), one.photos, one.photos_per_label == ALL))


def _average(rows: Sequence[dict[str, Any]], way: Way, size: int) -> AveragedResult:
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return AveragedResult(
        way=way,
        photos_per_label=size,
        photos=round(fmean(columns["photos"])),
        draws=len(rows),
        accuracy=fmean(columns["accuracy"]),
        interval=wilson_interval(round(fmean(columns["correct"])), rows[0]["test_photos"]),
        least=min(columns["accuracy"]),
        most=max(columns["accuracy"]),
        seconds=fmean(columns["seconds"]),
        passes=fmean(columns["passes"]),
        cut=any(columns["cut"]),
    )
