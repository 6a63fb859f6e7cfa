"""`python -m pipeline gc`: remove old runs, and every output that no kept run refers to."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer

from pipeline.cli.cli_errors import report_errors
from pipeline.cli.confirm import confirm_removal
from pipeline.cli.data_root import DEFAULT, DataRootOption, open_root
from pipeline.cli.tables import Column, show_json, show_table, size_of
from tasks.errors import first_of
from tasks.events import escape_control_characters
from tasks.paths import AnyPath
from tasks.progress import LiveLine
from tasks.runs.find import find_runs
from tasks.runs.retention.collect import Collected, collect
from tasks.runs.retention.garbage import CollectionPlan, Garbage, plan_collection
from tasks.runs.retention.live_set import Policy
from tasks.storage.survey import DiskUsage

#: A week of nightly runs.
KEEP_RUNS = 7

HELP = (
    "Remove old runs, and everything in the data root that no kept run refers to.",
    "Of each dataset the newest --keep-runs runs stay, by date, of one date those that ended last; runs with "
    "different parameters count each. They stay whole: record, report, model, export, evaluation, snapshot, and "
    "the rows of all their photos, so that the same command has nothing to do and the next run computes nothing "
    "anew. With --dataset, only older runs of these datasets are removed.",
    "The champion of each dataset stays too, with the run that made it, the models of its last predecessors, and its "
    "versions for model servers. So do comparisons with their snapshots and pictures, backbones with their weights, "
    "archives, and a newest run that ended before its record. "
    "Predictions are removed with the model that made them.",
    "The garbage is listed first, and you are asked. Your own photos, archives, models and weights are never "
    "touched, nor are files behind a link or files that this project did not write: these are named. "
    "While a run is under way it refuses. A record that cannot be read is named, and then nothing is removed. It "
    "may be killed anywhere: start it again.",
    "The exit code is 0; 1 where it was refused or nobody could be asked; 2 for an invalid value.",
    "Examples:",
    "  python -m pipeline gc --dry-run",
    "  python -m pipeline gc --keep-runs 30 --yes",
    "  python -m pipeline gc --dataset flower_photos --keep-runs 1 --data-root /srv/retrain/data",
)

_COLUMNS = (
    Column("stage"),
    Column("things", right=True),
    Column("files", right=True),
    Column("size", right=True),
    Column("folder"),
    Column("names"),
)
_NAMED = 3


def gc(  # noqa: PLR0913 (options of a command line)
    *,
    data_root: DataRootOption = DEFAULT,
    keep_runs: Annotated[int, typer.Option(min=1, help="How many runs of a dataset stay, the newest.")] = KEEP_RUNS,
    dataset: Annotated[
        list[str] | None,
        typer.Option(help="A dataset whose older runs go, may be given again; all of them where none is given."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would be removed, and remove nothing.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write one JSON object for a script; without --yes nothing is removed.")
    ] = False,
) -> None:
    """Remove old runs, and outputs that nothing refers to."""
    with report_errors():
        root = open_root(data_root)
        datasets = [name for text in dataset for name in find_runs(text, root)] if dataset else None
        policy = Policy(keep_runs, datasets)
        plan = plan_collection(root, policy)
        done = None
        if not as_json:
            _show(plan)
        if plan.pieces and not dry_run and (yes or not as_json):
            if not yes:
                confirm_removal()
            with LiveLine("gc") as progress:
                done = collect(root, policy, progress, {piece.path for piece in plan.pieces})
        if as_json:
            show_json(_to_json(plan, done))
        elif done:
            typer.echo(f"Removed {_size(done.footprint)}. Everything that stays is complete.")


def _show(plan: CollectionPlan) -> None:
    for left in plan.left:
        typer.echo(escape_control_characters(f"Left alone: {left.path} ({left.why})"))
    if not plan.pieces:
        typer.echo(f"Nothing to remove: {len(plan.records):,} runs stay, and everything else is needed by them.")
        return
    groups: dict[tuple[str, AnyPath], list[Garbage]] = defaultdict(list)
    for piece in plan.pieces:
        groups[piece.stage, piece.path.parent].append(piece)
    title = f"To be removed: {_size(plan.footprint)}; {len(plan.records):,} runs stay"
    show_table(title, _COLUMNS, [_row(stage, folder, pieces) for (stage, folder), pieces in groups.items()])


def _row(stage: str, folder: AnyPath, pieces: Sequence[Garbage]) -> tuple[object, ...]:
    footprint = sum((piece.footprint for piece in pieces), DiskUsage(0, 0))
    names = first_of([piece.path.name for piece in pieces], _NAMED)
    return stage, f"{len(pieces):,}", f"{footprint.files:,}", size_of(footprint.bytes), folder, names


def _size(footprint: DiskUsage) -> str:
    return f"{footprint.files:,} files, {size_of(footprint.bytes) or '0 B'}"


def _to_json(plan: CollectionPlan, done: Collected | None) -> dict[str, Any]:
    return {
        "removed": done is not None,
        **asdict(done.footprint if done else plan.footprint),
        "kept": [str(record) for record in plan.records],
        "pieces": [{"stage": each.stage, "path": str(each.path), **asdict(each.footprint)} for each in plan.pieces],
        "left": [{"path": str(left.path), "why": left.why} for left in plan.left],
    }
