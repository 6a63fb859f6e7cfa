"""`python -m pipeline audit`: list the photos whose labels look wrong."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.cli_errors import report_errors
from pipeline.cli.data_root import DEFAULT, DataRootOption, open_root
from pipeline.cli.history import read_newest
from pipeline.cli.tables import Column, show_json, show_table
from tasks.errors import StoreError
from tasks.runs.records import RunRecord
from tasks.storage.files import publish_bytes
from tasks.storage.layout import DataRoot

if TYPE_CHECKING:
    from tasks.evaluate.label_issues import LabelIssue

HELP = (
    "List the photos of a dataset whose labels look wrong, the worst first.",
    "DATASET is a name in data/runs, or a value of --dataset; without it, all datasets count. The labels are those of "
    "the run that ended last, judged by the predictions of its cross-validation: each photo was predicted by a head "
    "that never saw it. A photo whose near duplicate has another label is an issue too. The report of the run shows "
    "the photos.",
    "--csv writes a file to review: its column label has the suggested labels. Delete the lines of photos whose labels "
    "are right, correct other labels, empty the label of a photo that should be excluded, and give the file to the "
    "next run: luigi --module pipeline RetrainFlowers --corrections FILE. The photos stay where they are.",
    "The exit code is 0, or 1 where the run has no cross-validation or the file exists already.",
    "Examples:",
    "  python -m pipeline audit flower_photos",
    "  python -m pipeline audit flower_photos --worst 100 --csv review.csv",
    "  python -m pipeline audit --json",
)

_COLUMNS = (
    Column("label"),
    Column("prob.", right=True),
    Column("suggested"),
    Column("prob.", right=True),
    Column("issue"),
    Column("path"),
)


def audit(
    dataset: Annotated[
        str | None, typer.Argument(metavar="DATASET", help="Name of the dataset, or a value of --dataset.")
    ] = None,
    data_root: DataRootOption = DEFAULT,
    worst: Annotated[
        int | None, typer.Option(min=1, help="List so many photos, whether they are issues or not.")
    ] = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="New file for --corrections, to review.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write a JSON list for a script.")] = False,
) -> None:
    """List the photos whose labels look wrong."""
    with report_errors():
        root = open_root(data_root)
        run = read_newest(dataset, root)
        issues = _read(run, root, worst)
        if csv_file is not None:
            _write_csv(issues, csv_file)
        if as_json:
            show_json([issue._asdict() for issue in issues])
        elif csv_file is not None:
            typer.echo(f"{len(issues):,} photos: {csv_file}. Review it, then run with --corrections {csv_file}.")
        elif issues:
            title = f"{run.dataset}, {run.date}: {len(issues):,} of {run.photos:,} labels, the worst first"
            show_table(title, _COLUMNS, [_row(issue) for issue in issues])
        else:
            typer.echo(f"{run.dataset}, {run.date}: none of {run.photos:,} labels looks wrong.")


def _read(run: RunRecord, root: DataRoot, worst: int | None) -> "list[LabelIssue]":
    from tasks.evaluate.label_issues import read_label_issues

    try:
        return read_label_issues(root.evaluate(run.stages["evaluate"].key), worst)
    except FileNotFoundError as exc:
        raise StoreError(
            f"The newest run of {run.dataset}, of {run.date}, has not judged the labels: it had no cross-validation, "
            "or an earlier version made it. Run again, with --train head and --folds 5."
        ) from exc


def _row(issue: "LabelIssue") -> Sequence[object]:
    probabilities = [f"{issue.label_probability:.1%}", f"{issue.suggested_probability:.1%}"]
    flag = "yes" if issue.is_issue else "no"
    return [issue.label, probabilities[0], issue.suggested, probabilities[1], flag, issue.path]


def _write_csv(issues: "Sequence[LabelIssue]", file: Path) -> None:
    """Write photos with their suggested labels as a new file of corrections.

    Raises:
        StoreError: The file exists, or cannot be written.
    """
    if file.exists():
        raise StoreError(f"{file} exists already; it may hold reviewed labels. Give another name, or delete it first.")
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["sha256", "path", "label", "present_label", "label_probability", "suggested_probability"])
    for issue in issues:
        probabilities = [f"{issue.label_probability:.6f}", f"{issue.suggested_probability:.6f}"]
        writer.writerow([issue.sha256, issue.path, issue.suggested, issue.label, *probabilities])
    try:
        publish_bytes(file, buffer.getvalue().encode())
    except OSError as exc:
        raise StoreError(f"{file} cannot be written ({exc.strerror}). Give another place.") from exc
