"""Checkpoints: a training that is killed goes on where it was, and ends as if nothing had happened."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from tasks.artifacts import DamagedError, listed, set_aside
from tasks.errors import StoreError
from tasks.paths import AnyPath, to_path
from tasks.progress import Progress, Silence
from tasks.quiet_tensorflow import tf
from tasks.train.adam import EPOCHS_PER_CHECKPOINT
from tasks.train.checkpoints import CHECKPOINTS_KEPT, LIST, decay_after
from tasks.train.classic import STEPS_PER_VALIDATION
from tasks.train.examples import Watch
from tasks.train.fit import fit_head
from tasks.train.head import Head, load_head
from tests.listening import Tally
from tests.object_store import ObjectStore
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
from tasks.artifacts import mirrors
from tasks.paths import to_path
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

mirrors.SECONDS_APART = 0.0
recipe, folder = sys.argv[1], to_path(sys.argv[2])
save_head(fit(recipe, folder / "checkpoints", Killer()), folder / "resumed")
save_head(fit(recipe, None, Killer()), folder / "undisturbed")
"""


def fit(recipe: str, checkpoints: AnyPath | None, progress: Progress | None = None) -> Head:
    """Train on the same photos each time."""
    train, validation = (draw_examples((100, 100, 100), WIDTH, seed=seed) for seed in (0, 1))
    return fit_head(train, validation, RECIPES[recipe], LABELS, Watch(progress or Silence(), checkpoints))[0]


def run(recipe: str, folder: AnyPath, kill_at: str, scratch: Path | None = None) -> int:
    root = Path(__file__).parent.parent.parent
    command = [sys.executable, "-c", RUN, recipe, str(folder), kill_at]
    environment = {**os.environ, **({"TMPDIR": str(scratch)} if scratch else {})}
    return subprocess.run(command, cwd=root, env=environment, check=False).returncode


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


class Counted(Silence):
    """Notes how far each step forward went."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def advance(self, count: int) -> None:
        """Note it."""
        self.steps.append(count)


def test_a_training_killed_on_one_machine_goes_on_on_another_from_the_store_and_gives_the_same_bits(
    object_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    folder = to_path(object_store.url("head"))
    assert run("adam", folder, "17 done", one) == -signal.SIGKILL
    shutil.rmtree(one)
    monkeypatch.setattr(tempfile, "tempdir", str(other))
    head = fit("adam", folder / "checkpoints", told := Counted())
    assert_same(head, fit("adam", None))
    # The last one before it was killed may have been on its way.
    assert told.steps[0] in {10, 15}
    assert sum(told.steps) == 30
    names = [f"head-{step}.{part}" for step in (400, 500, 600) for part in ("data-00000-of-00001", "index")]
    assert [path.name for path in listed(folder / "checkpoints")] == [LIST, *names]
    assert str(other) not in (folder / "checkpoints" / LIST).read_text()
    assert list(other.rglob("head-*")) == []


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


def test_a_damaged_checkpoint_of_a_store_is_set_aside_with_its_folder_and_the_training_begins_anew(
    object_store: ObjectStore,
) -> None:
    folder = to_path(object_store.url("head/checkpoints"))
    head = fit("classic", folder)
    (folder / "head-750.data-00000-of-00001").write_bytes(b"damaged")
    with pytest.raises(DamagedError, match=rf"checkpoint {folder}/head-750 is damaged") as caught:
        fit("classic", folder)
    assert set_aside(caught.value) == f"{caught.value.path} is damaged ({caught.value.__cause__}). It is now " + (
        f"{folder.parent}/damaged/checkpoints, and is made again."
    )
    assert listed(folder) == []
    assert len(listed(folder.parent / "damaged" / "checkpoints")) == 7
    assert_same(fit("classic", folder, told := Counted()), head)
    assert told.steps[0] == 0


def test_averages_soon_forget_the_start_and_then_decay_as_they_should() -> None:
    decays = [float(decay_after(tf.constant(float(steps)), 0.99)) for steps in (0, 1, 90, 889, 10_000)]
    assert decays == pytest.approx([1 / 10, 2 / 11, 91 / 100, 890 / 899, 0.99])
