"""`python -m pipeline status`: how the stages of a run stand, before it runs."""

from dataclasses import asdict
from typing import Annotated

import typer

from pipeline.cli.cli_errors import plainly
from pipeline.cli.estimate import listed
from pipeline.cli.run_options import about_a_run
from pipeline.cli.run_plan import PlanStep, RunPlan, StepState, plan_run
from pipeline.cli.tables import Coloured, Column, show_json, show_table, size_of
from pipeline.retrain import RetrainFlowers
from tasks.stage_names import kind_of

#: A paragraph a line, which the terminal breaks at its own width.
HELP = "\n\n".join(
    (
        "Say how each stage of a run stands, what the run would do, and about how long it would take.",
        "It takes every parameter of RetrainFlowers, and luigi.cfg as luigi does: it asks about exactly the run that "
        "luigi --module pipeline RetrainFlowers would start with the same options. It runs nothing and writes nothing.",
        "A stage is done, to do, or blocked: what it stands on is not known yet. Present and missing are photos; those "
        "that were rejected count as present, since they are not tried again. How long a run takes is estimated from "
        "the records of past runs of the same data root.",
        "The exit code is 0; 1 where a run would end with an error that is known already; 2 where a value cannot be.",
        "Examples:",
        "  python -m pipeline status",
        "  python -m pipeline status --dataset ~/photos --views 1 --data-root /srv/retrain/data",
        "  python -m pipeline status --date 2026-11-24 --json",
    )
)

_COLUMNS = (
    Column("stage"),
    Column("state"),
    Column("present", right=True),
    Column("missing", right=True),
    Column("size", right=True),
    Column("key"),
    Column("note"),
)
_STYLES = {StepState.DONE: "green", StepState.TO_DO: "yellow", StepState.BLOCKED: "dim"}
_DOES = {
    "backbone": "prepare the backbone",
    "download": "fetch the photos",
    "snapshot": "take the snapshot",
    "decode": "decode",
    "bottleneck": "compute bottlenecks",
    "train": "train",
    "evaluate": "evaluate",
    "export": "export the model",
    "champion": "choose the champion",
    "report": "write the report",
    "record": "write the record",
}


@about_a_run
def status(
    run: RetrainFlowers,
    as_json: Annotated[bool, typer.Option("--json", help="Write one JSON object for a script.")] = False,
) -> None:
    """Say how the stages of a run stand."""
    with plainly():
        outlook = plan_run(run)
        if as_json:
            show_json(_to_json(run, outlook))
        else:
            show_table(
                f"{run.dataset}, {run.date}, in {run.data_root}", _COLUMNS, [_row(step) for step in outlook.steps]
            )
            for line in _conclusion(outlook):
                typer.echo(line)
            if outlook.problem:
                typer.echo(outlook.problem, err=True)
    raise typer.Exit(1 if outlook.problem else 0)


def _row(step: PlanStep) -> tuple[object, ...]:
    counts = (None if count is None else f"{count:,}" for count in (step.present, step.missing))
    state = Coloured(step.state, _STYLES[step.state])
    return (step.stage, state, *counts, size_of(step.bytes), step.key, "error, see below" if step.broken else step.note)


def _conclusion(outlook: RunPlan) -> list[str]:
    """What a run would do, and how long it would take."""
    if outlook.problem:
        return ["A run would end with an error:"]
    if outlook.estimate is None:
        lost = [step.stage for step in outlook.steps if step.state is not StepState.DONE]
        again = f" Not there any more: {', '.join(lost)}; forget record lets a run make it again." if lost else ""
        return [f"A run has nothing to do.{again}"]
    deeds = [_deed(outlook.step(stage)) for stage in outlook.ahead]
    return [f"A run would {listed(deeds)}.", f"Time: {outlook.estimate}."]


def _deed(step: PlanStep) -> str:
    photos = "1 new photo" if step.missing == 1 else f"{step.missing:,} new photos" if step.missing else ""
    kind = kind_of(step.stage)
    which = "" if kind == step.stage else f" ({step.stage})"
    if not photos:
        return f"{_DOES[kind]}{which}"
    joined = {"decode": " ", "snapshot": " with "}.get(kind, " of ")
    return f"{_DOES[kind]}{joined}{photos}{which}"


def _to_json(run: RetrainFlowers, outlook: RunPlan) -> dict[str, object]:
    return {
        "dataset": run.dataset,
        "date": f"{run.date}",
        "data_root": run.data_root,
        "parameters": run.parameters(),
        "stages": [asdict(step) for step in outlook.steps],
        "ahead": list(outlook.ahead),
        "estimate": asdict(outlook.estimate) if outlook.estimate else None,
        "problem": outlook.problem or None,
    }
