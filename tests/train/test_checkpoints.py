"""Checkpoints: a training that is killed goes on where it was, and ends as if nothing had happened."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tasks.errors import StoreError
from tasks.progress import Progress, Silence
from tasks.quiet_tensorflow import tf
from tasks.train.adam import EPOCHS_PER_CHECKPOINT
from tasks.train.checkpoints import CHECKPOINTS_KEPT, decay_after
from tasks.train.classic import STEPS_PER_VALIDATION
from tasks.train.examples import Watch
from tasks.train.fit import fit_head
from tasks.train.head import Head, load_head
from tests.listening import Tally
from tests.train.examples import classic, draw_examples, settings

LABELS = ("daisy", "roses", "tulips")
WIDTH = 1280  # as wide as real ones, so that the same products are computed in parallel
STRENGTHS = (0.01, 0.1)
RECIPES = {
    "adam": settings(epochs=30, batch_size=30, l2=STRENGTHS),
    "classic": classic(steps=750, batch_size=30),
}
STEPS = {"adam": 30 * 20, "classic": 750}  # 300 photos in 2 views are 20 batches of 30

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
        self.tell(f"{self.told} done")

    def tell(self, line):
        if line.startswith(sys.argv[3]):
            os.kill(os.getpid(), signal.SIGKILL)

recipe, folder = sys.argv[1], Path(sys.argv[2])
save_head(fit(recipe, folder / "checkpoints", Killer()), folder / "resumed")
save_head(fit(recipe, None, Killer()), folder / "undisturbed")
"""


def fit(recipe: str, checkpoints: Path | None, progress: Progress | None = None) -> Head:
    """Train on the same photos each time."""
    train, validation = (draw_examples((100, 100, 100), WIDTH, seed=seed) for seed in (0, 1))
    return fit_head(train, validation, RECIPES[recipe], LABELS, Watch(progress or Silence(), checkpoints))[0]


def run(recipe: str, folder: Path, kill_at: str) -> int:
    root = Path(__file__).parent.parent.parent
    command = [sys.executable, "-c", RUN, recipe, str(folder), kill_at]
    return subprocess.run(command, cwd=root, check=False).returncode


def assert_same(one: Head, other: Head) -> None:
    np.testing.assert_array_equal(one.weights, other.weights)
    np.testing.assert_array_equal(one.biases, other.biases)
    assert one.facts == other.facts


@pytest.mark.parametrize(
    ("recipe", "kill_at", "variable", "kept"), [("adam", "17 done", "epoch", 15), ("classic", "Step 400:", "step", 300)]
)
def test_killed_training_resumed_and_undisturbed_in_other_processes_give_the_same_bits(
    tmp_path: Path, recipe: str, kill_at: str, variable: str, kept: int
) -> None:
    assert run(recipe, tmp_path, kill_at) == -signal.SIGKILL
    assert int(tf.train.load_variable(str(tmp_path / "checkpoints"), f"{variable}/.ATTRIBUTES/VARIABLE_VALUE")) == kept
    assert run(recipe, tmp_path, kill_at="never") == 0
    here = fit(recipe, None)
    assert_same(load_head(tmp_path / "resumed"), here)
    assert_same(load_head(tmp_path / "undisturbed"), here)


@pytest.mark.parametrize("recipe", RECIPES)
def test_checkpoints_hold_weights_biases_and_their_averages(tmp_path: Path, recipe: str) -> None:
    head = fit(recipe, tmp_path)
    reader = tf.train.load_checkpoint(str(tmp_path))
    names = {name.split("/")[0] for name in reader.get_variable_to_shape_map()}
    assert {"weights", "biases", "average_weights", "average_biases"} <= names
    # Predictions are made from the averages by adam, and from the weights as they are by classic.
    kind = "average_" if recipe == "adam" else ""
    strength = (STRENGTHS.index(head.facts["l2"]),) if recipe == "adam" else ()
    for name, expected in (("weights", head.weights), ("biases", head.biases)):
        tensor = reader.get_tensor(f"{kind}{name}/.ATTRIBUTES/VARIABLE_VALUE")
        np.testing.assert_array_equal(tensor[(..., *strength, slice(None))], expected)


@pytest.mark.parametrize(("recipe", "every"), [("adam", EPOCHS_PER_CHECKPOINT * 20), ("classic", STEPS_PER_VALIDATION)])
def test_newest_checkpoints_are_kept_and_named_by_their_steps(tmp_path: Path, recipe: str, every: int) -> None:
    fit(recipe, tmp_path)
    last = STEPS[recipe]
    full = last - last % every
    steps = [*range(0, full + 1, every), *([last] if last > full else [])][-CHECKPOINTS_KEPT:]
    paths = tf.train.get_checkpoint_state(str(tmp_path)).all_model_checkpoint_paths
    assert [Path(path).name for path in paths] == [f"head-{step}" for step in steps]


@pytest.mark.parametrize("recipe", RECIPES)
def test_finished_training_is_read_and_not_repeated(tmp_path: Path, recipe: str) -> None:
    first = fit(recipe, tmp_path)
    before = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.iterdir())
    assert_same(fit(recipe, tmp_path, told := Tally()), first)
    assert (told.done, told.lines) == (told.total, [])
    assert sorted((path, path.stat().st_mtime_ns) for path in tmp_path.iterdir()) == before


def test_a_checkpoint_is_on_the_disk_before_the_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[Path] = []
    flush = os.fsync

    def note(descriptor: int) -> None:
        flushed.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    fit("adam", tmp_path)
    newest = tf.train.latest_checkpoint(str(tmp_path))
    parts = [Path(f"{newest}.{part}") for part in ("index", "data-00000-of-00001")]
    assert {*parts, tmp_path / "checkpoint", tmp_path} <= set(flushed)
    assert flushed[-1] == tmp_path, "the names come last"


@pytest.mark.parametrize("share", [0, 0.5])
@pytest.mark.parametrize("part", ["index", "data-00000-of-00001"])
def test_damaged_checkpoint_is_an_error_that_says_what_to_delete(tmp_path: Path, part: str, share: float) -> None:
    fit("adam", tmp_path)
    newest = Path(f"{tf.train.latest_checkpoint(str(tmp_path))}.{part}")
    newest.write_bytes(newest.read_bytes()[: int(newest.stat().st_size * share)])
    with pytest.raises(StoreError, match=rf"checkpoint .*head-600 is damaged .*Delete the folder {tmp_path}"):
        fit("adam", tmp_path)


def test_averages_soon_forget_the_start_and_then_decay_as_they_should() -> None:
    decays = [float(decay_after(tf.constant(float(steps)), 0.99)) for steps in (0, 1, 90, 889, 10_000)]
    assert decays == pytest.approx([1 / 10, 2 / 11, 91 / 100, 890 / 899, 0.99])
