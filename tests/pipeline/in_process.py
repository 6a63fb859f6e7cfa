"""Stages and whole runs in this process, which has imported already what takes seconds, for tests of their results."""

import luigi
from luigi.task import flatten

from pipeline.compare import CompareTraining
from pipeline.retrain import RetrainFlowers
from tasks.run_context import RunContext
from tasks.snapshot.task import TakeSnapshot
from tasks.stage import StageTask
from tests.pipeline.command import Project
from tests.snapshot.aging import recalling_new_files


def options(project: Project) -> dict[str, str]:
    return project.options(max_rejected="0.5")


def run_of(project: Project, **more: str) -> RetrainFlowers:
    run: RetrainFlowers = RetrainFlowers.from_str_params({**options(project), **more})
    return run


def stages_of(run: RetrainFlowers, *, export: bool = True) -> dict[str, StageTask]:
    """The stages after the snapshot, by name; backbone and snapshot are done."""
    return dict(run.stage_tasks([each.prepared() for each in run.prepare_backbones()], export=export))


def decode(project: Project, **more: str) -> RetrainFlowers:
    """Run the stages up to decode; the next snapshot reuses the photos' hashes."""
    run = run_of(project, **more)
    for backbone in run.prepare_backbones():
        backbone.run()
    # The run id of another program, whose snapshot stays valid if the photos change.
    with recalling_new_files():
        TakeSnapshot(
            context=RunContext(data_root=run.data_root, run_id="earlier"), dataset=run.source(), date=run.date
        ).run()
    stages_of(run)["decode"].run()
    return run


def start(run: RetrainFlowers | CompareTraining) -> None:
    """Run the tasks of a run one after the other, so that an error of one is raised here."""
    for tasks in run.run():
        for task in flatten(tasks):
            task.run()


def retrain_here(project: Project, *, date: str, **more: str) -> None:
    """Do a run as the command does.

    This process holds the lock of the run on this data root until pytest ends.
    """
    assert luigi.build([run_of(project, date=date, **more)], local_scheduler=True, log_level="WARNING")
