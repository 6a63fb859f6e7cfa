"""A data root in which every stage but the export is done, in this process."""

import pytest

from pipeline.retrain import RetrainFlowers
from tests.pipeline.command import LITTLE, Project
from tests.pipeline.in_process import decode, run_of, stages_of


def run_in(project: Project, export: str = "none") -> RetrainFlowers:
    """The run of the stages: no network in int8 and no cross-validation, which take long."""
    return run_of(project, **LITTLE, precision="float32", export=export)


@pytest.fixture(scope="session")
def done(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Photos and the data root, which no test may write to."""
    project = Project.drawn(tmp_path_factory.mktemp("machine"), 24)
    decode(project)
    stages = stages_of(run_in(project), export=False)
    for name in ("bottleneck", "drift", "train", "evaluate", "champion", "serving", "report"):
        stages[name].run()
    return project
