"""The index of a data root: one page that lists the runs of every dataset and leads to their reports."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.champion.champion_file import Champion, read_champion
from tasks.errors import StoreError
from tasks.paths import AnyPath
from tasks.report.page import find_reports, page_environment
from tasks.runs.records import RunRecord, read_history, recorded_datasets
from tasks.storage.files import publish_bytes
from tasks.storage.layout import DataRoot
from tasks.storage.locks import lock_folder

LISTED_RUNS = 40
"""How many runs of a dataset are listed, the last ones; the page says how many more there are."""

_WIDTH, _HEIGHT, _MARGIN = 600.0, 80.0, 8.0
_MOST_POINTS = 200
_LEAST_SPAN = 0.02  # of accuracies: the noise of a photo or two is not to fill the line's height


@dataclass(frozen=True)
class DatasetRuns:
    """What the index says of a dataset.

    Args:
        name: The dataset's name.
        nights: Its runs and the link to the report of each, the newest first.
        runs: How many there are in all.
        first: Date of the first one; None where there is none.
        line: The accuracies by run as points of an SVG polyline; empty where there is one run at most.
        span: The accuracies at the bottom and at the top of the line.
        champion: The champion; None where there is none.
        champion_link: The link to its report.
        damaged: What is wrong with its files, a sentence each.
    """

    name: str
    nights: Sequence[tuple[RunRecord, str | None]]
    runs: int
    first: dt.date | None
    line: str
    span: tuple[float, float]
    champion: Champion | None
    champion_link: str | None
    damaged: Sequence[str]


def publish_index(root: DataRoot) -> AnyPath:
    """Write the index of a data root, and return where it is.

    One process at a time: of two whose runs end at once, the one that looked first must not write last.
    """
    with lock_folder(root.runs("x").parent):
        publish_bytes(root.index(), render_index(root).encode())
    return root.index()


def render_index(root: DataRoot) -> str:
    """Render the index as one HTML page that needs nothing beside itself; the reports that it leads to are beside it.

    A file that is damaged is named on the page, which shows the rest.
    """
    datasets = [_gather(root, name) for name in recorded_datasets(root)]
    return (
        page_environment()
        .get_template("index.html.j2")
        .render(
            datasets=datasets,
            runs=sum(dataset.runs for dataset in datasets),
            width=_WIDTH,
            height=_HEIGHT,
        )
    )


def _gather(root: DataRoot, name: str) -> DatasetRuns:
    nights, errors = read_history(root, name)
    champion = None
    try:
        champion = read_champion(root.champion(name))
    except StoreError as exc:
        errors.append(exc)
    accuracies = [night.accuracy for night in nights]
    span = _span(accuracies)
    newest = nights[::-1]
    own = [night for night in newest if champion and night.model == champion.model][:1]
    shown = newest[:LISTED_RUNS]
    links = [place.as_posix() if place else None for place in find_reports([*shown, *own])]
    return DatasetRuns(
        name=name,
        nights=list(zip(shown, links, strict=False)),
        runs=len(nights),
        first=nights[0].date if nights else None,
        line=_line(accuracies, span),
        span=span,
        champion=champion,
        champion_link=links[-1] if own else None,
        damaged=[str(error) for error in errors],
    )


def _span(accuracies: Sequence[float]) -> tuple[float, float]:
    if not accuracies:
        return 0.0, 1.0
    low, high = min(accuracies), max(accuracies)
    missing = max(0.0, _LEAST_SPAN - (high - low)) / 2
    return max(0.0, low - missing), min(1.0, high + missing)


def _line(accuracies: Sequence[float], span: tuple[float, float]) -> str:
    """Points from left to right; of very many runs every so many-th, and always the last one."""
    if len(accuracies) < 2:
        return ""
    step = -(-len(accuracies) // _MOST_POINTS)
    low, high = span
    across = (_WIDTH - 2 * _MARGIN) / (len(accuracies) - 1)
    up = (_HEIGHT - 2 * _MARGIN) / (high - low)
    places = range((len(accuracies) - 1) % step, len(accuracies), step)
    return " ".join(
        f"{_MARGIN + across * place:.1f},{_HEIGHT - _MARGIN - up * (accuracies[place] - low):.1f}" for place in places
    )
