"""Renders the report of a run: one HTML file with style, script and pictures inside."""

from collections.abc import Mapping
from itertools import chain

from tasks.champion.decision import Decision, KeptBy
from tasks.report.build import Report
from tasks.report.inline_images import InlineImage, embed_pictures, side_for
from tasks.report.map import SIDE
from tasks.report.reported_run import find_reports
from tasks.report.templates import page_environment

#: Rows of a list of photos at most; the page says how many more there are.
LISTED = 100
#: Runs of the dataset at most, the last ones.
LISTED_RUNS = 30

_KEPT_BY: Mapping[KeptBy, tuple[str, str]] = {
    "accuracy": ("bad", "No: worse than the champion, which stays."),
    "label": ("bad", "No: worse than the champion on a label. The champion stays."),
    "date": ("careful", "Not better than the champion of a later date, which stays."),
    "pin": ("careful", "The champion is pinned, and stays."),
    "rollback": ("careful", "A person rolled back from this model. The champion stays."),
    "drift": ("bad", "Refused: its new photos differ from earlier ones."),
}
#: Labels of the comparison with the champion at most, the worst ones.
_LISTED_LABELS = 5
#: Longer side of pictures of near duplicates in pixels at most: there may be as many of them as of all others.
_NEAR_SIDE = 160
_HEADED_LABELS = 40  # of more, samples have their label below them in place of a heading


def render_report(report: Report) -> str:
    """Render a report as an HTML page that loads nothing; write it as UTF-8.

    Raises:
        PIL.UnidentifiedImageError: A photo's bytes are no image.
    """
    newest = report.runs[: -LISTED_RUNS - 1 : -1]
    links = [None, *(path and f"../../{path}" for path in find_reports(newest[1:]))]
    template = page_environment().get_template("report.html.j2")
    return template.render(
        report=report,
        metrics=report.results.metrics,
        headline=headline_of(report.decision),
        headed=len(report.counts) <= _HEADED_LABELS,
        map=report.map,
        map_side=SIDE,
        map_data=report.map.script_data() if report.map else None,
        runs=list(zip(newest, links, strict=True)),
        pictures=_embed_pictures(report),
        listed=LISTED,
        listed_labels=_LISTED_LABELS,
    )


def headline_of(decision: Decision) -> tuple[str, str]:
    """Return whether the new model is better: the tone (good, careful or bad) and the words."""
    better = decision.comparison is not None and decision.comparison.better
    return {
        "first": ("good", "The first model of this dataset, and so its champion."),
        "new": ("good", "Yes: better than the champion, whose place it takes.")
        if better
        else ("good", "Not worse than the champion, whose place it takes."),
        "same": ("careful", "The same model as the champion."),
        "stays": _KEPT_BY[decision.kept_by or "accuracy"],
        "refused": _KEPT_BY[decision.kept_by]
        if decision.kept_by
        else ("bad", "Refused: below the accuracy that was asked for."),
    }[decision.verdict]


def _embed_pictures(report: Report) -> Mapping[bytes, InlineImage]:
    """Embed the pictures of all photos that the page shows, by their files."""
    repeated = [*report.repeated.conflicts[:LISTED], *report.repeated.duplicates[:LISTED]]
    photos = [*report.samples, *report.added, *(guess.photo for guess in chain(report.mistakes, report.uncertain))]
    images = [report.repeated_images[photo.sha256] for photo in repeated if photo.sha256 in report.repeated_images]
    photos += chain.from_iterable(report.drift.photos.values()) if report.drift else ()
    photos += [each.photo for each in report.label_issues.photos] if report.label_issues else []
    images += [photo.image for photo in photos]
    groups = report.near_duplicates.shown if report.near_duplicates else ()
    large, near = set(images), {each.photo.image for group in groups for each in group.shown}
    return {**embed_pictures(near - large, _NEAR_SIDE), **embed_pictures(large, side_for(len(images)))}
