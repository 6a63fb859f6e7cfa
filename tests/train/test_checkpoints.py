"""Checkpoints: a training that is killed goes on where it was, and ends as if nothing had happened."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tasks.errors import StoreError
from tasks.progress import Silence
from tasks.quiet_tensorflow import tf
from tasks.train.fit import CHECKPOINTS_KEPT, EPOCHS_PER_CHECKPOINT, Watch, fit_head
from tasks.train.head import Head, load_head
from tests.train.examples import draw_examples, settings

LABELS = ("daisy", "roses", "tulips")
WIDTH = 1280  # as wide as real ones, so that the same products are computed in parallel
SETTINGS = settings(epochs=30, batch_size=30)

RUN = """
import os, signal, sys
from pathlib import Path
from tasks.progress import Silence
from tasks.train.head import save_head
from tests.train.test_checkpoints import fit

class Killer(Silence):
    told = 0

    def advance(self, count):
        self.told += count
        if self.told == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)

folder = Path(sys.argv[1])
save_head(fit(folder / "checkpoints", Killer()), folder / "resumed")
save_head(fit(None, Killer()), folder / "undisturbed")
"""


def fit(checkpoints: Path | None, progress: Silence | None = None) -> Head:
    """Train on the same photos each time."""
    train, validation = (draw_examples((100, 100, 100), WIDTH, seed=seed) for seed in (0, 1))
    return fit_head(train, validation, SETTINGS, LABELS, Watch(progress or Silence(), checkpoints))[0]


def run(folder: Path, kill_at: int) -> int:
    root = Path(__file__).parent.parent.parent
    return subprocess.run([sys.executable, "-c", RUN, str(folder), str(kill_at)], cwd=root, check=False).returncode


def assert_same(one: Head, other: Head) -> None:
    np.testing.assert_array_equal(one.weights, other.weights)
    np.testing.assert_array_equal(one.biases, other.biases)
    assert one.facts == other.facts


def test_killed_training_resumed_and_undisturbed_in_other_processes_give_the_same_bits(tmp_path: Path) -> None:
    assert run(tmp_path, kill_at=17) == -signal.SIGKILL
    assert int(tf.train.load_variable(str(tmp_path / "checkpoints"), "epoch/.ATTRIBUTES/VARIABLE_VALUE")) == 15
    assert run(tmp_path, kill_at=-1) == 0
    here = fit(None)
    assert_same(load_head(tmp_path / "resumed"), here)
    assert_same(load_head(tmp_path / "undisturbed"), here)


def test_checkpoints_hold_weights_biases_and_their_averages(tmp_path: Path) -> None:
    head = fit(tmp_path)
    reader = tf.train.load_checkpoint(str(tmp_path))
    shapes = reader.get_variable_to_shape_map()
    values = {name.split("/")[0] for name in shapes}
    assert {"weights", "biases", "average_weights", "average_biases", "optimizer", "epoch"} <= values
    chosen = SETTINGS.l2.index(head.facts["l2"])
    for name, expected in (("average_weights", head.weights), ("average_biases", head.biases)):
        tensor = reader.get_tensor(f"{name}/.ATTRIBUTES/VARIABLE_VALUE")
        np.testing.assert_array_equal(tensor[..., chosen, :], expected)


def test_newest_checkpoints_are_kept_and_named_by_their_steps(tmp_path: Path) -> None:
    fit(tmp_path)
    steps = SETTINGS.epochs * 20  # 300 photos in 2 views are 20 batches of 30
    every = EPOCHS_PER_CHECKPOINT * 20
    kept = [f"head-{steps - back * every}" for back in reversed(range(CHECKPOINTS_KEPT))]
    assert [Path(path).name for path in tf.train.get_checkpoint_state(str(tmp_path)).all_model_checkpoint_paths] == kept


def test_finished_training_is_read_and_not_repeated(tmp_path: Path) -> None:
    class Told(Silence):
        def __init__(self) -> None:
            self.counts: list[int] = []

        def advance(self, count: int) -> None:
            self.counts.append(count)

    first = fit(tmp_path)
    assert_same(fit(tmp_path, told := Told()), first)
    assert told.counts == [SETTINGS.epochs]


@pytest.mark.parametrize("share", [0, 0.5])
@pytest.mark.parametrize("part", ["index", "data-00000-of-00001"])
def test_damaged_checkpoint_is_an_error_that_says_what_to_delete(tmp_path: Path, part: str, share: float) -> None:
    fit(tmp_path)
    newest = Path(f"{tf.train.latest_checkpoint(str(tmp_path))}.{part}")
    newest.write_bytes(newest.read_bytes()[: int(newest.stat().st_size * share)])
    with pytest.raises(StoreError, match=rf"checkpoint .*head-600 is damaged .*Delete the folder {tmp_path}"):
        fit(tmp_path)
