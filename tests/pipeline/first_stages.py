"""Runs stages in this process, for tests of what they write: what takes seconds to import is there already."""

from pathlib import Path

import luigi

from pipeline.retrain import RetrainFlowers
from tasks.run_context import RunContext
from tasks.snapshot.task import TakeSnapshot
from tests.pipeline.command import Project
from tests.snapshot.aging import recalling_new_files


def options(project: Project) -> dict[str, str]:
    """The parameters of a quick run."""
    return project.options({"max-rejected": "0.5"})


def run_of(project: Project, **more: str) -> RetrainFlowers:
    """The run that the command is asked about."""
    given = {name.replace("-", "_"): value for name, value in {**options(project), **more}.items()}
    run: RetrainFlowers = RetrainFlowers.from_str_params(given)
    return run


def small_backbone(folder: Path) -> dict[str, str]:
    """The options of a backbone of two layers, for nights in which it is no matter: the default one takes seconds."""
    from tests.train.tiny import tiny  # noqa: PLC0415 (imports TensorFlow)

    weights = str(tiny(folder).weights)
    return {"backbone": weights, "scaling": "symmetric", "image-size": "0", "precision": "float32"}


def decode(project: Project) -> RetrainFlowers:
    """Run the stages up to decode; the hashes of the photos are recalled."""
    run = run_of(project)
    for backbone in run.prepare_backbones():
        backbone.run()
    # As another start of the program: what this one did stands, whatever becomes of the photos.
    with recalling_new_files():
        TakeSnapshot(
            context=RunContext(data_root=run.data_root, run_id="earlier"), dataset=run.source(), date=run.date
        ).run()
    run.stage_tasks([each.prepared() for each in run.prepare_backbones()])["decode"].run()
    return run


def retrain_here(project: Project, *, date: str, **more: str) -> None:
    """Do a night as the command does, for what it leaves behind.

    Until pytest ends, this process stays the only one that may do this night on this data root.
    """
    night = run_of(project, date=date, **more)
    assert luigi.build([night], local_scheduler=True, log_level="WARNING")
