"""Fixtures of whole runs. The first run is done once for all of pytest's workers; tests copy its results."""

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from tasks.storage.files import lock_folder
from tests.pipeline.command import LITTLE, Finished, Project, draw
from tests.snapshot.aging import wait_until_files_are_old


@dataclass(frozen=True)
class Trained:
    """A project that was trained once, for `DATE`, on `PHOTOS` photos of three labels."""

    project: Project  #: Photos and data root; no test may write to them.
    done: Finished  #: The command that trained it.

    DATE: ClassVar[str] = "2026-03-01"
    PHOTOS: ClassVar[int] = 36


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The first run, by the real command; the first of pytest's workers that needs it does it."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "trained"
    project, told = Project(folder / "photos", folder / "data"), folder / "done.json"
    with lock_folder(folder):
        if not told.exists():
            # Left by a worker that failed or was killed.
            for left in (project.photos, project.root):
                shutil.rmtree(left, ignore_errors=True)
            draw(project.photos, range(Trained.PHOTOS))
            wait_until_files_are_old()
            done = project.retrain(date=Trained.DATE).check()
            told.write_text(json.dumps(asdict(done)))
    return Trained(project, Finished(**json.loads(told.read_text())))


@pytest.fixture
def same_photos(trained: Trained, tmp_path: Path) -> Project:
    """The photos of the first run, which no test may write to, and a copy of its data root."""
    shutil.copytree(trained.project.root, tmp_path / "data")
    return Project(trained.project.photos, tmp_path / "data")


@pytest.fixture
def copied(same_photos: Project, tmp_path: Path) -> Project:
    """Copies of both. The new folder is another dataset, whose photos are all in the stores."""
    shutil.copytree(same_photos.photos, tmp_path / "photos")
    return Project(tmp_path / "photos", same_photos.root)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The options of a run with a backbone of two layers and without cross-validation, whose results do not matter."""
    from tests.train.tiny import tiny  # noqa: PLC0415 (imports TensorFlow)

    weights = str(tiny(tmp_path_factory.mktemp("small")).weights)
    return {"backbone": weights, "scaling": "symmetric", "image_size": "0", "precision": "float32", **LITTLE}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Eighteen photos of three labels, and a data root that does not exist yet."""
    return Project.drawn(tmp_path, 18)
