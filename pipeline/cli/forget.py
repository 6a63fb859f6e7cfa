"""`python -m pipeline forget STAGE`: remove the outputs of a stage, so that the next run makes them again."""

from typing import Annotated

import typer

from pipeline.cli.cli_errors import report_errors
from pipeline.cli.confirm import confirm_removal
from pipeline.cli.removal_plan import Removal, plan_removal
from pipeline.cli.run_options import run_options
from pipeline.cli.stages import find_stages
from pipeline.cli.tables import Column, show_table, size_of
from pipeline.retrain import RetrainFlowers
from tasks.runs.stages import RUN_STAGES
from tasks.storage.removal import remove

HELP = (
    "Remove the outputs of a stage for a run, so that the next run makes them again.",
    f"STAGE is one of {', '.join(spec.name for spec in RUN_STAGES)}; "
    "the second one of a kind is named as in bottleneck-2. It takes every parameter of RetrainFlowers, and reads "
    "luigi.cfg: give the parameters of the run. The record of the run is removed too, since with it a run would "
    "have nothing to do.",
    "The outputs are listed first, and you are asked. Stores of decoded photos and of bottlenecks are shared by "
    "all datasets and dates: the list names the others that use them, whose next runs make them again too.",
    "Your own photos, archives, models and weights are never touched, nor is anything outside the data root or "
    "behind a link. The champion of a dataset is refused until the stage champion is forgotten, and so are files "
    "that a process works on. It may be killed anywhere: half removed outputs count as gone.",
    "The exit code is 0; 1 where it was refused or nobody could be asked; 2 for an invalid value.",
    "Examples:",
    "  python -m pipeline forget bottleneck --dry-run",
    "  python -m pipeline forget train --downstream --date 2026-11-24",
    "  python -m pipeline forget decode --dataset ~/photos --yes",
)

_COLUMNS = (
    Column("stage"),
    Column("files", right=True),
    Column("size", right=True),
    Column("rows", right=True),
    Column("path"),
    Column("note"),
)


@run_options
def forget(
    run: RetrainFlowers,
    stage: Annotated[str, typer.Argument(metavar="STAGE", help="The stage to forget.")],
    downstream: Annotated[
        bool, typer.Option("--downstream", help="Also all later stages of this run, which stand on it.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would be removed, and remove nothing.")] = False,
) -> None:
    """Remove the outputs of a stage for a run."""
    with report_errors():
        known = find_stages(run, as_recorded=True)
        stages = known.stages()
        if stage not in stages:
            raise typer.BadParameter(f"{stage!r} is no stage of this run, which has {', '.join(stages)}.")
        removals = plan_removal(known, stages[stages.index(stage) :] if downstream else (stage,))
        if not removals:
            typer.echo(f"Nothing to remove: the stage {stage} keeps nothing for these parameters.")
            return
        _show(removals)
        if dry_run:
            return
        if not yes:
            confirm_removal()
        for removal in removals:
            remove(removal.path, run.root)
        typer.echo("Removed. The next run makes it again.")


def _show(removals: list[Removal]) -> None:
    rows = [
        (
            removal.stage,
            f"{removal.footprint.files:,}",
            size_of(removal.footprint.bytes),
            None if removal.rows is None else f"{removal.rows:,}",
            removal.path,
            removal.note,
        )
        for removal in removals
    ]
    files, size = (sum(getattr(removal.footprint, name) for removal in removals) for name in ("files", "bytes"))
    show_table(f"To be removed: {files:,} files, {size_of(size) or '0 B'}", _COLUMNS, rows)
