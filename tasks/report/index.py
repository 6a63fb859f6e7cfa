"""Index of a data root: one page that lists the runs of every dataset and links their reports."""

from collections.abc import Sequence
from typing import Any

from tasks.champion.champion_file import read_champion
from tasks.errors import StoreError
from tasks.report.reported_run import find_reports
from tasks.report.templates import page_environment
from tasks.runs.records import read_history, recorded_datasets
from tasks.storage.files import lock_folder, publish_bytes
from tasks.storage.layout import DataRoot

#: Runs of a dataset at most, the last ones; the page says how many more there are.
LISTED_RUNS = 40

_WIDTH, _HEIGHT, _MARGIN = 600.0, 80.0, 8.0
_MAX_POINTS = 200
_MIN_SPAN = 0.02  # of accuracies, so that the noise of a photo or two does not fill the line's height


def publish_index(root: DataRoot) -> None:
    """Publish the index of a data root.

    Processes take turns, so that the page is always that of the last one that read the records.
    """
    with lock_folder(root.below("runs")):
        publish_bytes(root.index(), render_index(root).encode())


def render_index(root: DataRoot) -> str:
    """Render the index as an HTML page that loads nothing; it names damaged files and shows the rest."""
    datasets = [_describe_dataset(root, name) for name in recorded_datasets(root)]
    template = page_environment().get_template("index.html.j2")
    count = sum(dataset["count"] for dataset in datasets)
    return template.render(datasets=datasets, count=count, width=_WIDTH, height=_HEIGHT)


def _describe_dataset(root: DataRoot, name: str) -> dict[str, Any]:
    """Return the values of a dataset's section; `runs` has the last runs with the links to their reports."""
    runs, errors = read_history(root, name)
    champion = None
    try:
        champion = read_champion(root.champion(name))
    except StoreError as exc:
        errors.append(exc)
    accuracies, newest = [run.accuracy for run in runs], runs[::-1]
    span, listed = _span(accuracies), newest[:LISTED_RUNS]
    crowned = [run for run in newest if champion and run.model == champion.model][:1]
    links = find_reports([*listed, *crowned])
    return {
        "name": name,
        "runs": list(zip(listed, links, strict=False)),
        "count": len(runs),
        "first": runs[0].date if runs else None,
        "line": _line(accuracies, span),
        "span": span,
        "champion": champion,
        "champion_link": links[-1] if crowned else None,
        "damaged": [str(error) for error in errors],
    }


def _span(accuracies: Sequence[float]) -> tuple[float, float]:
    """Return the accuracies at the bottom and the top of the line."""
    if not accuracies:
        return 0.0, 1.0
    low, high = min(accuracies), max(accuracies)
    margin = max(0.0, _MIN_SPAN - (high - low)) / 2
    return max(0.0, low - margin), min(1.0, high + margin)


def _line(accuracies: Sequence[float], span: tuple[float, float]) -> str:
    """Return the points of an SVG polyline; of many runs only every n-th, and always the last one."""
    if len(accuracies) < 2:
        return ""
    step = -(-len(accuracies) // _MAX_POINTS)
    low, high = span
    x_scale = (_WIDTH - 2 * _MARGIN) / (len(accuracies) - 1)
    y_scale = (_HEIGHT - 2 * _MARGIN) / (high - low)
    shown = range((len(accuracies) - 1) % step, len(accuracies), step)
    return " ".join(
        f"{_MARGIN + x_scale * run:.1f},{_HEIGHT - _MARGIN - y_scale * (accuracies[run] - low):.1f}" for run in shown
    )
