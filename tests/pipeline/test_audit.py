"""`python -m pipeline audit`: the label issues of the newest run, and the file to review."""

import json
from pathlib import Path

import numpy as np
import pytest

from tasks.evaluate.label_issues import LabelIssue, find_label_issues, publish_label_issues, read_label_issues
from tasks.progress import NullProgress
from tasks.snapshot.corrections import read_corrections
from tasks.snapshot.photos import take_snapshot
from tasks.storage.layout import DataRoot
from tests.pipeline.command import Finished, verb
from tests.snapshot.photo_files import put
from tests.support.data_root import draw_photos, draw_probabilities, keep, record


@pytest.fixture
def issues(root: DataRoot) -> list[LabelIssue]:
    """The label issues of the newer of two runs; the older one is of an earlier version."""
    keep(root, record(root, "2026-11-20"), parameters="older")
    newer = record(root, "2026-11-21")
    newer["stages"]["evaluate"]["key"] = "judged"
    keep(root, newer)
    photos = draw_photos()
    found = find_label_issues(photos.truth, draw_probabilities(len(photos.truth), 3), np.zeros(len(photos.truth), bool))
    publish_label_issues(root.evaluate("judged"), photos, found, {})
    return read_label_issues(root.evaluate("judged"))


def audit(root: DataRoot, *arguments: object) -> Finished:
    return verb("audit", "--data-root", root.path, *arguments)


def test_issues_are_listed_with_the_worst_first(root: DataRoot, issues: list[LabelIssue]) -> None:
    done = audit(root, "flowers")
    assert (done.code, done.errors) == (0, "")
    title, _, *rows = done.output.splitlines()
    assert title == f"flowers, 2026-11-21: {len(issues)} of 1,200 labels, the worst first"
    assert [row.split()[-1] for row in rows] == [issue.path for issue in issues]
    first = issues[0]
    assert rows[0].split()[:5] == [
        first.label,
        f"{first.label_probability:.1%}",
        first.suggested,
        f"{first.suggested_probability:.1%}",
        "yes",
    ]


def test_more_photos_are_listed_where_asked_for(root: DataRoot, issues: list[LabelIssue]) -> None:
    rows = json.loads(audit(root, "--worst", len(issues) + 2, "--json").output)
    assert [row["is_issue"] for row in rows] == [True] * len(issues) + [False] * 2
    assert rows[: len(issues)] == [issue._asdict() for issue in issues]


def test_the_file_to_review_is_one_of_corrections(root: DataRoot, issues: list[LabelIssue], tmp_path: Path) -> None:
    file = tmp_path / "review.csv"
    done = audit(root, "--csv", file)
    assert done.output == f"{len(issues)} photos: {file}. Review it, then run with --corrections {file}.\n"
    photos = put(tmp_path / "photos", {issue.path: issue.path.encode() for issue in issues})
    put(tmp_path / "photos", {f"{label}/other.jpg": label.encode() for label in ("daisy", "roses", "tulips")})
    lines = read_corrections(file).lines
    assert [(line.sha256, line.label) for line in lines] == [(issue.sha256, issue.suggested) for issue in issues]
    by_path = file.read_text().replace(issues[0].sha256, "")
    file.write_text(by_path)
    corrected = take_snapshot(photos, None, NullProgress(), corrections=read_corrections(file)).corrected
    assert corrected is not None
    assert corrected.relabelled == 1


def test_a_file_that_may_be_reviewed_already_is_kept(root: DataRoot, issues: list[LabelIssue], tmp_path: Path) -> None:
    file = tmp_path / "review.csv"
    file.write_text("reviewed")
    done = audit(root, "--csv", file)
    assert done.code == 1
    assert done.errors.startswith(f"{file} exists already")
    assert file.read_text() == "reviewed"
    assert len(issues) > 0


def test_a_run_that_judged_no_labels_says_so(root: DataRoot) -> None:
    keep(root, record(root, "2026-11-20"))
    done = audit(root)
    assert done.code == 1
    assert "has not judged the labels" in done.errors
    assert "--folds 5" in done.errors
