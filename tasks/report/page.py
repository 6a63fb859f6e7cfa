"""The report of a run: one HTML file that needs nothing beside itself."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from tasks.champion.decision import Decision
from tasks.report.inline_images import embed_picture, side_for
from tasks.report.map_view import SIDE, view_map
from tasks.report.view_model import Report, ShownPhoto
from tasks.runs.records import RunRecord, Verdict
from tasks.storage.layout import DataRoot

LISTED = 100
"""How many rows of a list of photos the report shows; it says how many more there are."""
NIGHTS = 30
"""How many of the dataset's runs the report lists, the last ones."""

VERDICT_WORDS: Mapping[Verdict | None, str] = {
    "first": "first champion",
    "new": "new champion",
    "same": "same model",
    "stays": "champion stays",
    "refused": "refused",
    None: "none",
}
"""What a table says of a run's verdict; records of an earlier version of this project have none."""

_HEADED_LABELS = 40  # beyond, samples have their label below them in the place of a heading each
_NO_BREAK_SPACE = "\u00a0"
_MINUS = "\u2212"


class Headline(NamedTuple):
    """The answer to whether a model is better.

    Args:
        tone: How good that is: good, careful or bad.
        words: The answer.
    """

    tone: str
    words: str


def render_report(report: Report) -> str:
    """Render the report as one HTML page, with style, script and pictures inside it, that asks the network for nothing.

    Args:
        report: What to show.

    Returns:
        The page; write it as UTF-8.

    Raises:
        PIL.UnidentifiedImageError: A photo's bytes are not those of a picture.
    """
    labels = [count.label for count in report.counts]
    nights = report.nights[: -NIGHTS - 1 : -1]
    return (
        page_environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            summary=report.summary,
            metrics=report.metrics,
            headline=tell_verdict(report.decision),
            samples=_by_label(report.samples, labels),
            headed=len(labels) <= _HEADED_LABELS,
            map=view_map(report.map, labels) if report.map and report.map.points else None,
            map_side=SIDE,
            nights=list(zip(nights, [None, *_links(nights[1:])], strict=False)),
            side=side_for(_count_pictures(report)),
            listed=LISTED,
        )
    )


def tell_verdict(decision: Decision) -> Headline:
    """Say in a few words what a decision on the champion means for the new model."""
    comparison = decision.comparison
    better = comparison is not None and comparison.better
    return {
        "first": Headline("good", "The first model of this dataset, and so its champion."),
        "new": Headline("good", "Yes: better than the champion, whose place it takes.")
        if better
        else Headline("good", "Not worse than the champion, whose place it takes."),
        "same": Headline("careful", "The same model as the champion."),
        "stays": Headline("bad", "No: worse than the champion, which stays."),
        "refused": Headline("bad", "Refused: below the accuracy that was asked for."),
    }[decision.verdict]


def find_report(night: RunRecord) -> Path | None:
    """Where a run's report is, relative to its data root; None where it is gone.

    A data root may have been moved since its records were written, so that only the end of the recorded path counts.
    """
    return find_reports([night])[0]


def find_reports(nights: Sequence[RunRecord]) -> list[Path | None]:
    """Where the reports of runs of one data root are; see `find_report`."""
    places = [Path(*night.report.parts[-3:]) for night in nights]
    if not nights:
        return []
    root = DataRoot.above(nights[0].record.parent)
    there = root.storage.survey(root.report("x").parent)
    return [
        None if place.is_absolute() or ".." in place.parts or not there.is_file(root.path / place) else place
        for place in places
    ]


def page_environment(package: str = "tasks.report") -> Environment:
    """Where pages are rendered: with this package's templates, the style of all reports, and how numbers are written.

    Args:
        package: The package whose templates are found by their names.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package, "."), PackageLoader("tasks.report", ".")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": _number,
        "percent": _percent,
        "points": _points,
        "score": _score,
        "duration": _duration,
        "counted": _counted,
        "verdict_word": VERDICT_WORDS.__getitem__,
        "csp_hash": _csp_hash,
        "picture": embed_picture,
    }
    return environment


def _count_pictures(report: Report) -> int:
    repeated = [one for one in (*report.conflicts[:LISTED], *report.duplicates[:LISTED]) if one.image]
    new = report.changes.pictures if report.changes else ()
    return sum(map(len, (report.samples, report.mistakes, report.uncertain, new, repeated)))


def _by_label(samples: Sequence[ShownPhoto], labels: Sequence[str]) -> dict[str, list[ShownPhoto]]:
    grouped: dict[str, list[ShownPhoto]] = {label: [] for label in labels}
    for picture in samples:
        grouped[picture.label].append(picture)
    return {label: pictures for label, pictures in grouped.items() if pictures}


def _links(before: Sequence[RunRecord]) -> list[str | None]:
    """The ways from this report to those of the runs before."""
    return [f"../../{place.as_posix()}" if place else None for place in find_reports(before)]


def _csp_hash(text: str) -> str:
    """How a Content-Security-Policy names a style or script that it lets in (Content Security Policy 3, 6.7.2.3)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"


def _number(value: int) -> str:
    return f"{value:,}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}{_NO_BREAK_SPACE}%"


def _points(difference: float) -> str:
    """A difference of shares in percentage points, with its sign; one that rounds to nothing has none."""
    shown = f"{100 * difference:+.1f}"
    return "0.0" if float(shown) == 0 else shown.replace("-", _MINUS)


def _score(score: float | None) -> str:
    return "—" if score is None else f"{score:.3f}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f}{_NO_BREAK_SPACE}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes:,}{_NO_BREAK_SPACE}min {rest}{_NO_BREAK_SPACE}s"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
