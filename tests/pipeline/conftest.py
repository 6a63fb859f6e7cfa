"""One run of the real command that the tests share: made once for all of pytest's workers, and then only copied."""

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from tasks.storage.locks import lock_folder
from tests.pipeline.command import Finished, Project, draw
from tests.snapshot.aging import wait_until_files_are_old


@dataclass(frozen=True)
class Trained:
    """A project that has been trained once, for `DATE`, on `PHOTOS` photos of three labels.

    Args:
        project: Its photos and its data root, which no test may write to.
        done: How the command ended.
    """

    project: Project
    done: Finished

    DATE: ClassVar[str] = "2026-03-01"
    PHOTOS: ClassVar[int] = 36


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The run that whichever worker comes first makes from nothing."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "trained"
    project, told = Project(folder / "photos", folder / "data"), folder / "done.json"
    with lock_folder(folder):
        if not told.exists():
            # What a worker left that failed, or was ended, is not gone on from.
            for left in (project.photos, project.root):
                shutil.rmtree(left, ignore_errors=True)
            draw(project.photos, range(Trained.PHOTOS))
            wait_until_files_are_old()
            done = project.retrain(date=Trained.DATE)
            assert done.code == 0, done.errors
            told.write_text(json.dumps(asdict(done)))
    return Trained(project, Finished(**json.loads(told.read_text())))


@pytest.fixture
def same_photos(trained: Trained, tmp_path: Path) -> Project:
    """The very photos of the shared run, to be left as they are, and a copy of its data root."""
    shutil.copytree(trained.project.root, tmp_path / "data")
    return Project(trained.project.photos, tmp_path / "data")


@pytest.fixture
def copied(same_photos: Project, tmp_path: Path) -> Project:
    """Copies of both; the photos' new folder is another dataset, but the stores know each of them."""
    shutil.copytree(same_photos.photos, tmp_path / "photos")
    return Project(tmp_path / "photos", same_photos.root)
