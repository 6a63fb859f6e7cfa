"""Renders the report of a run: one HTML file with style, script and pictures inside."""

from collections.abc import Sequence
from typing import NamedTuple

from tasks.champion.decision import Decision
from tasks.report.build import Report
from tasks.report.gallery import ShownPhoto
from tasks.report.inline_images import side_for
from tasks.report.map import SIDE
from tasks.report.reported_run import find_reports
from tasks.report.templates import page_environment

#: Rows of a list of photos at most; the page says how many more there are.
LISTED = 100
#: Runs of the dataset at most, the last ones.
LISTED_RUNS = 30

_HEADED_LABELS = 40  # of more, samples have their label below them in place of a heading


class Headline(NamedTuple):
    """The answer to whether the model is better: its tone (good, careful or bad) and its words."""

    tone: str
    words: str


def render_report(report: Report) -> str:
    """Render a report as an HTML page that loads nothing; write it as UTF-8.

    Raises:
        PIL.UnidentifiedImageError: A photo's bytes are no image.
    """
    labels = [count.label for count in report.counts]
    newest = report.runs[: -LISTED_RUNS - 1 : -1]
    links = [None, *(path and f"../../{path}" for path in find_reports(newest[1:]))]
    template = page_environment().get_template("report.html.j2")
    return template.render(
        report=report,
        metrics=report.results.metrics,
        headline=headline_of(report.decision),
        samples=_group_by_label(report.samples, labels),
        headed=len(labels) <= _HEADED_LABELS,
        map=report.map,
        map_side=SIDE,
        map_data=report.map.script_data() if report.map else None,
        runs=list(zip(newest, links, strict=True)),
        side=side_for(_count_pictures(report)),
        listed=LISTED,
    )


def headline_of(decision: Decision) -> Headline:
    """Return what a decision on the champion means for the new model, in a few words."""
    better = decision.comparison is not None and decision.comparison.better
    return {
        "first": Headline("good", "The first model of this dataset, and so its champion."),
        "new": Headline("good", "Yes: better than the champion, whose place it takes.")
        if better
        else Headline("good", "Not worse than the champion, whose place it takes."),
        "same": Headline("careful", "The same model as the champion."),
        "stays": Headline("bad", "No: worse than the champion, which stays."),
        "refused": Headline("bad", "Refused: below the accuracy that was asked for."),
    }[decision.verdict]


def _count_pictures(report: Report) -> int:
    repeated = [*report.repeated.conflicts[:LISTED], *report.repeated.duplicates[:LISTED]]
    shown = sum(photo.sha256 in report.repeated_images for photo in repeated)
    return shown + sum(map(len, (report.samples, report.mistakes, report.uncertain, report.added)))


def _group_by_label(samples: Sequence[ShownPhoto], labels: Sequence[str]) -> dict[str, list[ShownPhoto]]:
    grouped: dict[str, list[ShownPhoto]] = {label: [] for label in labels}
    for photo in samples:
        grouped[photo.label].append(photo)
    return {label: photos for label, photos in grouped.items() if photos}
