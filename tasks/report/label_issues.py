"""Label issues section: the photos whose labels are probably wrong, the worst first, to be corrected."""

from collections.abc import Sequence
from typing import NamedTuple

from tasks.evaluate.label_issues import LabelIssue, read_label_issues
from tasks.report.gallery import ShownPhoto
from tasks.report.reported_run import ReportedRun
from tasks.storage.layout import DataRoot

#: Photos that the section shows at most, and at least where so many look like another label.
MOST_ISSUES, FEWEST_ISSUES = 48, 24


class ShownIssue(NamedTuple):
    """A photo with its label judged, and its picture."""

    photo: ShownPhoto
    issue: LabelIssue


class ShownIssues(NamedTuple):
    """The label issues that a report shows."""

    total: int  #: Number of all issues of the run.
    photos: Sequence[ShownIssue]  #: The worst of them, and other photos that look more like another label.


def read_shown_issues(run: ReportedRun, root: DataRoot) -> list[LabelIssue]:
    """Read the label issues that the report of a run shows; empty if the run did not judge labels."""
    evaluation = run.stages["evaluate"]
    total = evaluation.details["label_issues"]
    if total is None:
        return []
    worst = read_label_issues(root.evaluate(evaluation.key), min(MOST_ISSUES, max(FEWEST_ISSUES, total)))
    return [issue for issue in worst if issue.is_issue or issue.suggested_probability > issue.label_probability]


def show_issues(run: ReportedRun, issues: Sequence[LabelIssue], photos: Sequence[ShownPhoto]) -> ShownIssues | None:
    """Join label issues and their photos; None if the run did not judge labels."""
    total = run.stages["evaluate"].details["label_issues"]
    return None if total is None else ShownIssues(total, list(map(ShownIssue, photos, issues)))
