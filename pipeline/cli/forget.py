"""`python -m pipeline forget STAGE`: what a stage keeps is removed, and made again by the next run."""

from typing import Annotated

import typer

from pipeline.cli.cli_errors import plainly
from pipeline.cli.confirm import confirm_removal
from pipeline.cli.removal_plan import Removal, plan_removal
from pipeline.cli.run_options import about_a_run
from pipeline.cli.stages import STAGES, known_chain
from pipeline.cli.tables import Column, show_table, size_of
from pipeline.retrain import RetrainFlowers
from tasks.storage.removal import remove

#: A paragraph a line, which the terminal breaks at its own width.
HELP = "\n\n".join(
    (
        "Remove what a stage keeps for a run, so that the next run makes it again.",
        f"STAGE is one of {', '.join(STAGES)}; the second one of a kind is called as in bottleneck-2. It takes every "
        "parameter of RetrainFlowers, and luigi.cfg as luigi does: give those of the run. The record of the run goes "
        "along, since with it a run would have nothing to do.",
        "What would go is listed first, and you are asked. Stores of decoded photos and of bottlenecks are shared by "
        "all datasets and dates: the list says which others use them, and these make them again too.",
        "Your own photos, archives, models and weights are never touched, nor is anything outside the data root or "
        "behind a link. The champion of a dataset is refused until the stage champion is forgotten, and so is what a "
        "process works in. It may be killed anywhere: what is half removed counts as gone.",
        "The exit code is 0; 1 where it was refused or nobody could be asked; 2 where a value cannot be.",
        "Examples:",
        "  python -m pipeline forget bottleneck --dry-run",
        "  python -m pipeline forget train --downstream --date 2026-11-24",
        "  python -m pipeline forget decode --dataset ~/photos --yes",
    )
)

_COLUMNS = (
    Column("stage"),
    Column("files", right=True),
    Column("size", right=True),
    Column("rows", right=True),
    Column("path"),
    Column("note"),
)


@about_a_run
def forget(
    run: RetrainFlowers,
    stage: Annotated[str, typer.Argument(metavar="STAGE", help="The stage to forget.")],
    downstream: Annotated[
        bool, typer.Option("--downstream", help="Also all later stages of this run, which stand on it.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would be removed, and remove nothing.")] = False,
) -> None:
    """Remove what a stage keeps for a run."""
    with plainly():
        chain = known_chain(run, as_it_was=True)
        stages = chain.stages()
        if stage not in stages:
            raise typer.BadParameter(f"{stage!r} is no stage of this run, which has {', '.join(stages)}.")
        condemned = plan_removal(chain, stages[stages.index(stage) :] if downstream else (stage,))
        if not condemned:
            typer.echo(f"Nothing to remove: the stage {stage} keeps nothing for these parameters.")
            return
        _show(condemned)
        if dry_run:
            return
        if not yes:
            confirm_removal()
        for thing in condemned:
            remove(thing.path, run.root)
        typer.echo("Removed. The next run makes it again.")


def _show(condemned: list[Removal]) -> None:
    rows = [
        (
            thing.stage,
            f"{thing.footprint.files:,}",
            size_of(thing.footprint.bytes),
            None if thing.rows is None else f"{thing.rows:,}",
            thing.path,
            thing.note,
        )
        for thing in condemned
    ]
    files, size = (sum(getattr(thing.footprint, name) for thing in condemned) for name in ("files", "bytes"))
    show_table(f"To be removed: {files:,} files, {size_of(size) or '0 B'}", _COLUMNS, rows)
