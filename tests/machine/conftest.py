"""A data root in which every stage but the export has done its work, made in this process."""

from pathlib import Path

import pytest

from pipeline.retrain import RetrainFlowers
from tests.pipeline.command import Project, draw
from tests.pipeline.first_stages import decode, run_of

#: Seconds instead of minutes: no network in int8, no cross-validation.
CHEAP = {"precision": "float32", "folds": "0"}


def run_in(project: Project, export: str = "none") -> RetrainFlowers:
    """The run that all stages are of."""
    return run_of(project, **CHEAP, export=export)


@pytest.fixture(scope="session")
def done(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Photos, and the data root; tests copy it."""
    folder = tmp_path_factory.mktemp("machine")
    project = Project(Path(folder, "photos"), Path(folder, "data"))
    draw(project.photos, range(24))
    decode(project)
    run = run_in(project)
    stages = run.stage_tasks([each.prepared() for each in run.prepare_backbones()], export=False)
    for name in ("bottleneck", "train", "evaluate", "champion", "report"):
        stages[name].run()
    return project
