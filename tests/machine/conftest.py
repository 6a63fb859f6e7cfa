"""A data root in which every stage but the export is done, in this process."""

import pytest

from tests.pipeline.command import Project, draw
from tests.pipeline.conftest import small as small
from tests.pipeline.in_process import decode, stages_of


@pytest.fixture(scope="session")
def done(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Photos and the data root, which no test may write to."""
    folder = tmp_path_factory.mktemp("machine")
    project = Project(folder / "photos", folder / "data")
    draw(project.photos, range(24))
    decode(project)
    stages = stages_of(run_in(project), export=False)
    for name in ("bottleneck", "train", "evaluate", "champion", "report"):
        stages[name].run()
    return project
