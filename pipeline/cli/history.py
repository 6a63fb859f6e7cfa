"""`python -m pipeline history`: list the runs of a dataset."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from pipeline.cli.cli_errors import report_errors
from pipeline.cli.data_root import DEFAULT, DataRootOption, open_root
from pipeline.cli.tables import Coloured, Column, show_json, show_table
from tasks.champion.champion_file import ChampionOrder, read_champion
from tasks.errors import StoreError
from tasks.runs.find import find_runs
from tasks.runs.records import RunRecord, read_history
from tasks.storage.files import listed, read_each
from tasks.storage.layout import DataRoot

HELP = (
    "List the runs of a dataset, the newest last: photos, accuracy, and whether the model became champion.",
    "DATASET is a name in data/runs, or a value of --dataset. Without it, the runs of the only dataset are listed; "
    "where there are several, the datasets are.",
    "New are photos that no run had seen before. Accuracy is that on the test split, with its 95 % interval, and the "
    "split of the dataset where that gives it; distinct "
    "is that on its photos without a near duplicate in training, where it differs; cross-val. is the cross-validated "
    "one, over all photos. Champion says whether the model was it after its run; s are seconds from the program's "
    "start to the end of the run. Orders of python -m pipeline champion have lines of their own, which --json leaves "
    "to that verb.",
    "The exit code is 0, or 1 where a record is damaged: it is named on standard error, and the others are listed.",
    "Examples:",
    "  python -m pipeline history flower_photos",
    "  python -m pipeline history path/to/folder --limit 7",
    "  python -m pipeline history --json",
)

_RUNS = (
    Column("date"),
    Column("photos", right=True),
    Column("new", right=True),
    Column("accuracy", right=True),
    Column("distinct", right=True),
    Column("cross-val.", right=True),
    Column("champion"),
    Column("s", right=True),
    Column("model"),
)
#: Fields of a run that --json writes as they are.
_FIGURES = (
    "photos",
    "new",
    "rejected",
    "test_photos",
    "accuracy",
    "low",
    "high",
    "distinct_accuracy",
    "cross_validated",
    "given_test",
    "verdict",
    "drift",
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
        str | None, typer.Argument(metavar="DATASET", help="Name of the dataset, or a value of --dataset.")
    ] = None,
    data_root: DataRootOption = DEFAULT,
    limit: Annotated[int | None, typer.Option(min=1, help="Maximum number of runs, the newest.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write a JSON list for a script.")] = False,
) -> None:
    """List the runs of a dataset."""
    with report_errors():
        root = open_root(data_root)
        found = find_runs(dataset, root)
        if len(found) > 1:
            _list_datasets(root, found, as_json=as_json)
            raise typer.Exit
        runs, good = read_readable(root, found[0])
        runs = runs[-limit:] if limit else runs
        if as_json:
            show_json([_to_json(run) for run in runs])
        elif runs:
            show_table(found[0], _RUNS, _rows(runs, _read_orders(root, found[0])))
    raise typer.Exit(0 if good else 1)


def read_readable(root: DataRoot, dataset: str) -> tuple[list[RunRecord], bool]:
    """Read the runs of a dataset, and write the errors of records that cannot be read on standard error.

    Returns:
        The runs, in the order of their dates, those of one date as they ended; and whether all could be read.
    """
    runs, damaged = read_history(root, dataset)
    for error in damaged:
        typer.echo(str(error), err=True)
    return runs, not damaged


def read_newest(dataset: str | None, root: DataRoot) -> RunRecord:
    """Read the run of a dataset that ended last; None is all datasets.

    Raises:
        DatasetError: There are no runs.
        StoreError: No record can be read.
    """
    runs = [run for name in find_runs(dataset, root) for run in read_readable(root, name)[0]]
    if not runs:
        raise StoreError(f"No record of a run in {root.path} can be read. Delete the damaged ones and run again.")
    return max(runs, key=lambda run: run.finished)


def _list_datasets(root: DataRoot, names: Sequence[str], *, as_json: bool) -> None:
    # A record's name begins with its date.
    found = read_each(lambda name: listed(root.runs(name), "*.json"), names, root.path)
    records = [[path.name for path in own] for own in found]
    rows = [(name, len(own), own[-1][:10]) for name, own in zip(names, records, strict=True)]
    if as_json:
        show_json([dict(zip(("dataset", "runs", "newest"), row, strict=True)) for row in rows])
    else:
        show_table("Datasets that have runs; name one of them", _DATASETS, rows)


def _read_orders(root: DataRoot, dataset: str) -> Sequence[ChampionOrder]:
    """Read the orders of persons; where their file is damaged, write the error on standard error."""
    try:
        champion = read_champion(root.champion(dataset))
    except StoreError as exc:
        typer.echo(str(exc), err=True)
        return ()
    return champion.orders if champion else ()


def _rows(runs: Sequence[RunRecord], orders: Sequence[ChampionOrder]) -> list[list[object]]:
    """The rows of runs and of the orders since the first of them, by time."""
    timed = [((run.date, run.finished), _row(run)) for run in runs]
    timed += [
        ((order.time.date(), order.time), [order.time.date(), *[None] * 5, order.order, None, order.model])
        for order in orders
        if order.time.date() >= runs[0].date
    ]
    return [row for _, row in sorted(timed, key=lambda each: each[0])]


def _row(run: RunRecord) -> list[object]:
    return [
        run.date,
        f"{run.photos:,}",
        f"{run.new:,}",
        f"{run.accuracy:.1%} ({100 * run.low:.1f}-{100 * run.high:.1f})"
        + (f" on {run.given_test}" if run.given_test else ""),
        None if run.distinct_accuracy is None else f"{run.distinct_accuracy:.1%}",
        None if run.cross_validated is None else f"{run.cross_validated:.1%}",
        _CHAMPION[run.verdict] if run.verdict else None,
        f"{run.elapsed:,.0f}",
        run.model,
    ]


def _to_json(run: RunRecord) -> dict[str, Any]:
    return {
        "date": run.date.isoformat(),
        "finished": run.finished.isoformat(),
        **{name: getattr(run, name) for name in _FIGURES},
        "seconds": run.elapsed,
        "model": run.model,
        "snapshot": run.snapshot,
        "report": str(run.report),
        "record": str(run.record),
        "parameters": dict(run.parameters),
    }
