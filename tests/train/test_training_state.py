"""The state of a training: its announcement, and whether it is pending, running, ended or interrupted."""

import json
from contextlib import nullcontext
from pathlib import Path

import pytest

from tasks.errors import StoreError
from tasks.storage.files import lock_folder
from tasks.train.settings import FinetuneSettings, TrainSettings
from tasks.train.training_state import Training, TrainingState, announce, read_announced, state_of
from tests.train.examples import FINETUNE, classic, settings


@pytest.mark.parametrize("how", [settings(), classic(), FINETUNE], ids=["lda", "classic", "finetune"])
def test_an_announcement_is_read_as_it_was_written(tmp_path: Path, how: TrainSettings | FinetuneSettings) -> None:
    assert read_announced(tmp_path) is None, "no training has begun"
    folder = tmp_path / how.key("snap")
    announce(Training(how, "snap"), folder)
    assert read_announced(folder) == Training(how, "snap")


@pytest.mark.parametrize("how", [settings(), classic()], ids=["lda", "classic"])
def test_a_head_of_the_earlier_version_that_lacks_the_novelty_can_be_used(tmp_path: Path, how: TrainSettings) -> None:
    folder = tmp_path / how.key("snap", code_version=3)
    announce(Training(how, "snap"), folder)
    assert read_announced(folder) == Training(how, "snap")


@pytest.mark.parametrize(
    "change", [{"settings": {}}, {"settings": {"seed": 1}}, {"settings": None}, {"snapshot": "other"}]
)
def test_an_announcement_of_another_version_is_an_error(tmp_path: Path, change: dict[str, object]) -> None:
    folder = tmp_path / settings().key("snap")
    announce(Training(settings(), "snap"), folder)
    path = folder / "training.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(StoreError, match=r"training\.json was not written by this version"):
        read_announced(folder)


@pytest.mark.parametrize(
    ("files", "locked", "state"),
    [
        ([], False, TrainingState.PENDING),
        ([], True, TrainingState.RUNNING),
        (["training.json"], True, TrainingState.RUNNING),
        (["training.json"], False, TrainingState.INTERRUPTED),
        (["training.json", "head.json"], True, TrainingState.RUNNING),
        # The head is published before the lock is released, and the manifest comes after.
        (["training.json", "head.json"], False, TrainingState.ENDED),
        (["training.json", "head.json", "manifest.json"], False, TrainingState.ENDED),
    ],
)
def test_state_of_a_training(tmp_path: Path, files: list[str], locked: bool, state: TrainingState) -> None:
    assert state_of(tmp_path / "missing") is TrainingState.PENDING
    for name in files:
        (tmp_path / name).touch()
    with lock_folder(tmp_path) if locked else nullcontext():
        assert state_of(tmp_path) is state
