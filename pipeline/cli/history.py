"""`python -m pipeline history`: what the nightly runs of a dataset came to."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from pipeline.cli.cli_errors import plainly
from pipeline.cli.data_root import DEFAULT, DataRootOption, open_root
from pipeline.cli.find_runs import find_runs, read_readable
from pipeline.cli.tables import Coloured, Column, show_json, show_table
from tasks.runs.records import RunRecord
from tasks.storage.files import listed, read_each
from tasks.storage.layout import DataRoot

#: A paragraph a line, which the terminal breaks at its own width.
HELP = "\n\n".join(
    (
        "List the runs of a dataset, the newest last: photos, accuracy, and whether the model became champion.",
        "DATASET is a name in data/runs, or what was given to --dataset. Without it, the runs of the only dataset are "
        "listed; where there are several, the datasets are.",
        "New are photos that no run had seen before. Accuracy is that on the test split, with its 95 % interval; "
        "cross-val. is the cross-validated one, over all photos. Champion says whether the model was it after its run; "
        "s are seconds from the program's start to the end of the run.",
        "The exit code is 0, or 1 where a record is damaged: it is named on standard error, and the others are listed.",
        "Examples:",
        "  python -m pipeline history flower_photos",
        "  python -m pipeline history path/to/folder --limit 7",
        "  python -m pipeline history --json",
    )
)

_RUNS = (
    Column("date"),
    Column("photos", right=True),
    Column("new", right=True),
    Column("accuracy", right=True),
    Column("cross-val.", right=True),
    Column("champion"),
    Column("s", right=True),
    Column("model"),
)
_DATASETS = (Column("dataset"), Column("runs", right=True), Column("newest"))
_CHAMPION = {
    "first": Coloured("yes", "green"),
    "new": Coloured("yes", "green"),
    "same": Coloured("yes", "green"),
    "stays": Coloured("no", "red"),
    "refused": Coloured("refused", "red"),
}


def history(
    dataset: Annotated[
        str | None, typer.Argument(metavar="DATASET", help="Which dataset: its name, or what --dataset was.")
    ] = None,
    data_root: DataRootOption = DEFAULT,
    limit: Annotated[int | None, typer.Option(min=1, help="List the newest runs alone, this many at most.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write a JSON list for a script.")] = False,
) -> None:
    """List the runs of a dataset."""
    with plainly():
        root = open_root(data_root)
        found = find_runs(dataset, root)
        if len(found) > 1:
            _list_datasets(root, found, as_json=as_json)
            raise typer.Exit
        nights, good = read_readable(root, found[0])
        nights = nights[-limit:] if limit else nights
        if as_json:
            show_json([_to_json(night) for night in nights])
        elif nights:
            show_table(found[0], _RUNS, [_row(night) for night in nights])
    raise typer.Exit(0 if good else 1)


def _list_datasets(root: DataRoot, names: Sequence[str], *, as_json: bool) -> None:
    # A record's name begins with its date.
    found = read_each(lambda name: listed(root.runs(name), "*.json"), names, root.path)
    records = [[path.name for path in own] for own in found]
    rows = [(name, len(own), own[-1][:10]) for name, own in zip(names, records, strict=True)]
    if as_json:
        show_json([dict(zip(("dataset", "runs", "newest"), row, strict=True)) for row in rows])
    else:
        show_table("Datasets that have runs; name one of them", _DATASETS, rows)


def _row(night: RunRecord) -> list[object]:
    return [
        night.date,
        f"{night.photos:,}",
        f"{night.new:,}",
        f"{night.accuracy:.1%} ({100 * night.low:.1f}-{100 * night.high:.1f})",
        None if night.cross_validated is None else f"{night.cross_validated:.1%}",
        _CHAMPION[night.verdict] if night.verdict else None,
        f"{night.elapsed:,.0f}",
        night.model,
    ]


def _to_json(night: RunRecord) -> dict[str, Any]:
    return {
        "date": night.date.isoformat(),
        "finished": night.finished.isoformat(),
        "photos": night.photos,
        "new": night.new,
        "rejected": night.rejected,
        "test_photos": night.test_photos,
        "accuracy": night.accuracy,
        "low": night.low,
        "high": night.high,
        "cross_validated": night.cross_validated,
        "verdict": night.verdict,
        "seconds": night.elapsed,
        "model": night.model,
        "snapshot": night.snapshot,
        "report": str(night.report),
        "record": str(night.record),
        "parameters": dict(night.parameters),
    }
