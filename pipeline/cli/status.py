"""`python -m pipeline status`: the state of a run's stages, before it runs."""

from dataclasses import asdict
from typing import Annotated

import typer

from pipeline.cli.cli_errors import report_errors
from pipeline.cli.run_options import run_options
from pipeline.cli.run_plan import PlanStep, RunPlan, StepState, plan_run
from pipeline.cli.tables import Coloured, Column, show_json, show_table, size_of
from pipeline.retrain import RetrainFlowers
from tasks.runs.estimate import join_words
from tasks.runs.stages import spec_of
from tasks.stage_spec import kind_of

HELP = (
    "Show the state of each stage of a run, what the run would do, and about how long it would take.",
    "It takes every parameter of RetrainFlowers, and reads luigi.cfg: the run is the one that luigi --module "
    "pipeline RetrainFlowers would start with the same options. It runs nothing and writes nothing.",
    "A stage is done, to do, or blocked while its inputs are not known yet. Present and missing are photos; "
    "rejected photos count as present, since they are not tried again. The time is estimated from the records of "
    "past runs of the same data root.",
    "The exit code is 0; 1 where a run would end with an error that is known already; 2 for an invalid value.",
    "Examples:",
    "  python -m pipeline status",
    "  python -m pipeline status --dataset ~/photos --views 1 --data-root /srv/retrain/data",
    "  python -m pipeline status --date 2026-11-24 --json",
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


@run_options
def status(
    run: RetrainFlowers,
    as_json: Annotated[bool, typer.Option("--json", help="Write one JSON object for a script.")] = False,
) -> None:
    """Show the state of a run's stages."""
    with report_errors():
        plan = plan_run(run)
        if as_json:
            show_json(_to_json(run, plan))
        else:
            show_table(f"{run.dataset}, {run.date}, in {run.data_root}", _COLUMNS, [_row(step) for step in plan.steps])
            for line in _conclusion(plan):
                typer.echo(line)
            if plan.problem:
                typer.echo(plan.problem, err=True)
    raise typer.Exit(1 if plan.problem else 0)


def _row(step: PlanStep) -> tuple[object, ...]:
    counts = (None if count is None else f"{count:,}" for count in (step.present, step.missing))
    state = Coloured(step.state, _STYLES[step.state])
    return (step.stage, state, *counts, size_of(step.bytes), step.key, "error, see below" if step.broken else step.note)


def _conclusion(plan: RunPlan) -> list[str]:
    """Actions of a run, and its estimated time."""
    if plan.problem:
        return ["A run would end with an error:"]
    if plan.estimate is None:
        lost = [step.stage for step in plan.steps if step.state is not StepState.DONE]
        again = f" No longer there: {', '.join(lost)}; `forget record` lets a run make it again." if lost else ""
        return [f"A run has nothing to do.{again}"]
    actions = [_action(plan.step(stage)) for stage in plan.ahead]
    return [f"A run would {join_words(actions)}.", f"Time: {plan.estimate}."]


def _action(step: PlanStep) -> str:
    spec = spec_of(step.stage)
    photos = "1 new photo" if step.missing == 1 else f"{step.missing:,} new photos" if step.missing else ""
    which = "" if kind_of(step.stage) == step.stage else f"({step.stage})"
    return " ".join(filter(None, (spec.action, spec.preposition if photos else "", photos, which)))


def _to_json(run: RetrainFlowers, plan: RunPlan) -> dict[str, object]:
    return {
        "dataset": run.dataset,
        "date": f"{run.date}",
        "data_root": run.data_root,
        "parameters": run.parameters(),
        "stages": [asdict(step) for step in plan.steps],
        "ahead": list(plan.ahead),
        "estimate": asdict(plan.estimate) if plan.estimate else None,
        "problem": plan.problem or None,
    }
