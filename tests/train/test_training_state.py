"""A training that is underway: what it says of itself, and how it stands."""

import json
from pathlib import Path

import pytest

from tasks.errors import StoreError
from tasks.storage.locks import lock_folder
from tasks.train.settings import FinetuneSettings, TrainSettings
from tasks.train.training_state import Training, TrainingState, announce, read_announced, state_of
from tests.train.examples import BOTTLENECK, classic, settings

FINETUNE = FinetuneSettings(BOTTLENECK.backbone, "png", epochs=1, batch_size=2, learning_rate=0.1, seed=0)


@pytest.mark.parametrize("how", [settings(), classic(), FINETUNE], ids=["lda", "classic", "finetune"])
def test_what_is_announced_is_read_as_it_was(tmp_path: Path, how: TrainSettings | FinetuneSettings) -> None:
    folder = tmp_path / how.key("snap")
    announce(Training(how, "snap"), folder)
    assert read_announced(folder) == Training(how, "snap")


def test_nothing_is_announced_before_training_begins(tmp_path: Path) -> None:
    assert read_announced(tmp_path) is None


@pytest.mark.parametrize(
    "change", [{"settings": {}}, {"settings": {"seed": 1}}, {"settings": None}, {"snapshot": "other"}]
)
def test_what_another_version_announced_is_an_error(tmp_path: Path, change: dict[str, object]) -> None:
    folder = tmp_path / settings().key("snap")
    announce(Training(settings(), "snap"), folder)
    path = folder / "training.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(StoreError, match=r"training\.json was not written by this version"):
        read_announced(folder)


@pytest.mark.parametrize(
    ("files", "locked", "state"),
    [
        ([], False, TrainingState.AHEAD),
        ([], True, TrainingState.UNDERWAY),
        (["training.json"], True, TrainingState.UNDERWAY),
        (["training.json"], False, TrainingState.BROKEN_OFF),
        (["training.json", "head.json"], True, TrainingState.UNDERWAY),
        # The head is kept before the lock is given back, and the manifest comes after.
        (["training.json", "head.json"], False, TrainingState.ENDED),
        (["training.json", "head.json", "manifest.json"], False, TrainingState.ENDED),
    ],
)
def test_how_a_training_stands(tmp_path: Path, files: list[str], locked: bool, state: TrainingState) -> None:
    for name in files:
        (tmp_path / name).touch()
    if locked:
        with lock_folder(tmp_path):
            assert state_of(tmp_path) is state
    else:
        assert state_of(tmp_path) is state


def test_a_training_in_a_folder_that_is_not_there_is_ahead(tmp_path: Path) -> None:
    assert state_of(tmp_path / "not there") is TrainingState.AHEAD
