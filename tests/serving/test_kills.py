"""Killed before each file or folder that they rename or remove: promotion, rollback, and the serving stage of a run.

Model servers and readers of `current` find exactly one complete current version at any moment.
"""

import json
import shutil
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from tasks.champion.champion_file import read_champion
from tasks.progress import NullProgress
from tasks.serving.versions import serve_champion
from tasks.storage.layout import DataRoot
from tests.pipeline.command import verb
from tests.serving.exports import crown, model_of, numbers, served
from tests.support.data_root import DATASET
from tests.support.processes import run

pytestmark = pytest.mark.slow

#: A verb, or the serving of a champion that a run chose, which kills itself before the nth rename or removal.
DIE = """
import sys
from pathlib import Path
from pipeline.cli.app import app
from tasks.progress import NullProgress
from tasks.serving.versions import serve_champion
from tasks.storage.layout import DataRoot
from tests.support.data_root import DATASET
from tests.support.processes import kill_at

kill_at(int(sys.argv.pop(1)))
if sys.argv[1] == "champion":
    app()
else:
    serve_champion(DataRoot(Path(sys.argv[2])), DATASET, 2, NullProgress())
"""


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> tuple[DataRoot[Path], list[str]]:
    """A data root with three champions, one after the other, of which the last two are served, and their keys."""
    root: DataRoot[Path] = DataRoot(tmp_path_factory.mktemp("kills") / "data")
    models = []
    for seed in range(3):
        models.append(crown(root, seed))
        serve_champion(root, DATASET, 2, NullProgress())
    return root, models


def words(root: DataRoot[Path], *more: str) -> list[str]:
    return ["champion", DATASET, "--data-root", str(root.path), "--keep-versions", "2", "--yes", *more]


def promotion(root: DataRoot[Path], models: list[str]) -> list[str]:
    return words(root, "--promote", models[0])


def rollback(root: DataRoot[Path], models: list[str]) -> list[str]:  # noqa: ARG001 (as the others)
    return words(root, "--rollback")


def serving(root: DataRoot[Path], models: list[str]) -> list[str]:  # noqa: ARG001
    return ["serve", str(root.path)]


def champion(root: DataRoot[Path]) -> str:
    now = read_champion(root.champion(DATASET))
    assert now is not None
    return now.model


@pytest.mark.parametrize(
    ("command", "after"), [(promotion, 0), (rollback, 1), (serving, 3)], ids=["promotion", "rollback", "serving"]
)
def test_killed_anywhere_there_is_exactly_one_complete_current_version(
    three: tuple[DataRoot[Path], list[str]],
    tmp_path: Path,
    command: Callable[[DataRoot[Path], list[str]], list[str]],
    after: int,
) -> None:
    original, models = three
    start = tmp_path / "start"
    shutil.copytree(original.path, start, symlinks=True)
    if command is serving:
        models = [*models, crown(DataRoot(start), 3)]
    seen = set()
    for step in count():
        root = DataRoot(tmp_path / f"killed-{step}")
        shutil.copytree(start, root.path, symlinks=True)
        killed = run([sys.executable, "-c", DIE, f"{step}", *command(root, models)])
        assert killed.code in (0, -signal.SIGKILL), killed.errors
        # The version before or the one after: both are whole, and so is each other version.
        assert served(root) in (models[2], models[after])
        assert all(model_of(root.serving(DATASET) / f"{number}") in models for number in numbers(root))
        assert served(root) == models[2] or champion(root) == models[after], "the champion is chosen first"
        assert json.loads(root.champion(DATASET).read_text())["champion"] in (models[2], models[after])
        seen.add((champion(root) == models[after], served(root) == models[after]))
        if killed.code == 0:
            break
        complete(root, models, after)
    assert step > 3
    assert seen >= {(True, False), (True, True)}
    assert numbers(root) == [3, 4]


def complete(root: DataRoot[Path], models: list[str], after: int) -> None:
    """Repeat what was killed: the next order, or the next run, leaves one new version and nothing else."""
    if champion(root) == models[after]:
        verb(*words(root, "--promote", models[after])).check()
    else:
        verb(*words(root, *(["--rollback"] if after == 1 else ["--promote", models[after]]))).check()
    assert champion(root) == served(root) == models[after]
    assert numbers(root) == [3, 4], "of a new model, which has one number"
    assert {path.name for path in root.serving(DATASET).iterdir()} == {"3", "4", "current"}
    assert not list(root.path.glob("champion/.tmp-*"))
