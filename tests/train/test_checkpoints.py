"""Checkpoints: a training that is killed goes on where it was, and ends as if nothing had happened."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tasks.errors import StoreError
from tasks.paths import AnyPath, to_path
from tasks.progress import NullProgress, Progress
from tasks.runtime.tensorflow_import import tf
from tasks.shards.quarantine import quarantine
from tasks.storage.errors import DamagedError
from tasks.storage.files import listed
from tasks.train import classic
from tasks.train.checkpoints import CHECKPOINTS_KEPT, LIST, update_ema
from tasks.train.classic import STEPS_PER_VALIDATION, TrainingData
from tasks.train.head import Head, load_head
from tasks.train.scores import Examples
from tasks.train.training_state import TrainingContext
from tests.support.progress import Advances, Tally
from tests.support.repository import REPOSITORY
from tests.support.servers.object_store import ObjectStore
from tests.train.examples import BOTTLENECK, CLASSIC, assert_same_bits, draw_examples

pytestmark = pytest.mark.slow

LABELS = ("daisy", "roses", "tulips")
WIDTH = 1280  # as wide as real ones, so that the same products are computed in parallel
STEPS = 750
VARIABLES = ("weights", "biases", "average_weights", "average_biases")
RECIPE = replace(CLASSIC, steps=STEPS, batch_size=30)

RUN = """
import os, signal, sys
from tasks.storage import folder_sync
from tasks.paths import to_path
from tasks.progress import NullProgress
from tasks.train.head import save_head
from tests.train.test_checkpoints import fit

class Killer(NullProgress):
    def tell(self, line):
        if line.startswith(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)

folder_sync.UPLOAD_SECONDS = 0.0
folder = to_path(sys.argv[1])
save_head(fit(folder / "checkpoints", Killer()), folder / "resumed")
save_head(fit(None, Killer()), folder / "undisturbed")
"""


def fit(checkpoints: AnyPath | None, progress: Progress | None = None) -> Head:
    """Train on the same photos each time."""
    train, validation = (draw_examples((100, 100, 100), WIDTH, seed=seed) for seed in (0, 1))
    steps = np.full(WIDTH, BOTTLENECK.quantisation.step, np.float32)
    examples = Examples((validation.numbers[:, :1] * steps) ** 2, validation.labels)
    data = TrainingData(train.numbers[:, 0], steps, train.labels, examples)
    return classic.fit(data, LABELS, RECIPE, 0, TrainingContext(progress or NullProgress(), checkpoints))


def run(folder: AnyPath, kill_at: str, scratch: Path | None = None) -> int:
    environment = {**os.environ, **({"TMPDIR": str(scratch)} if scratch else {})}
    command = [sys.executable, "-c", RUN, str(folder), kill_at]
    return subprocess.run(command, cwd=REPOSITORY, env=environment, check=False).returncode


def test_killed_training_resumed_and_undisturbed_in_other_processes_give_the_same_bits(tmp_path: Path) -> None:
    assert run(tmp_path, kill_at="Step 400:") == -signal.SIGKILL
    assert int(tf.train.load_variable(str(tmp_path / "checkpoints"), "step/.ATTRIBUTES/VARIABLE_VALUE")) == 300
    assert run(tmp_path, kill_at="never") == 0
    here = fit(None)
    assert_same_bits(load_head(tmp_path / "resumed"), here)
    assert_same_bits(load_head(tmp_path / "undisturbed"), here)


def test_a_training_killed_on_one_machine_resumes_on_another_from_the_store_and_gives_the_same_bits(
    object_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    folder = to_path(object_store.url("head"))
    assert run(folder, "Step 400:", one) == -signal.SIGKILL
    shutil.rmtree(one)
    monkeypatch.setattr(tempfile, "tempdir", str(other))
    head = fit(folder / "checkpoints", told := Advances())
    assert_same_bits(head, fit(None))
    # The last one before it was killed may have been on its way.
    assert told.counts[0] in {200, 300}
    assert sum(told.counts) == STEPS
    names = [f"head-{step}.{part}" for step in (600, 700, 750) for part in ("data-00000-of-00001", "index")]
    assert [path.name for path in listed(folder / "checkpoints")] == [LIST, *names]
    assert str(other) not in (folder / "checkpoints" / LIST).read_text()
    assert list(other.rglob("head-*")) == []


def test_checkpoints_hold_weights_biases_and_their_averages_and_the_newest_are_kept(tmp_path: Path) -> None:
    head = fit(tmp_path)
    reader = tf.train.load_checkpoint(str(tmp_path))
    layer = {name: reader.get_tensor(f"{name}/.ATTRIBUTES/VARIABLE_VALUE") for name in VARIABLES}
    # Predictions are made from the weights as they are.
    np.testing.assert_array_equal(layer["weights"], head.weights)
    np.testing.assert_array_equal(layer["biases"], head.biases)
    assert layer["average_weights"].shape == head.weights.shape
    assert not np.array_equal(layer["average_weights"], head.weights)
    assert not np.array_equal(layer["average_biases"], head.biases)
    steps = [*range(0, STEPS, STEPS_PER_VALIDATION), STEPS][-CHECKPOINTS_KEPT:]
    paths = tf.train.get_checkpoint_state(str(tmp_path)).all_model_checkpoint_paths
    assert [Path(path).name for path in paths] == [f"head-{step}" for step in steps]


def test_finished_training_is_read_and_not_repeated(tmp_path: Path) -> None:
    first = fit(tmp_path)
    before = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.iterdir())
    assert_same_bits(fit(tmp_path, told := Tally()), first)
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
    fit(tmp_path)
    newest = tf.train.latest_checkpoint(str(tmp_path))
    parts = [Path(f"{newest}.{part}") for part in ("index", "data-00000-of-00001")]
    assert {*parts, tmp_path / "checkpoint", tmp_path} <= set(flushed)
    assert flushed[-1] == tmp_path, "the names come last"


@pytest.mark.parametrize("share", [0, 0.5])
@pytest.mark.parametrize("part", ["index", "data-00000-of-00001"])
def test_damaged_checkpoint_is_an_error_that_says_what_to_delete(tmp_path: Path, part: str, share: float) -> None:
    fit(tmp_path)
    newest = Path(f"{tf.train.latest_checkpoint(str(tmp_path))}.{part}")
    newest.write_bytes(newest.read_bytes()[: int(newest.stat().st_size * share)])
    with pytest.raises(StoreError, match=rf"checkpoint .*head-750 is damaged .*Delete the folder {tmp_path}"):
        fit(tmp_path)


def test_a_damaged_checkpoint_of_a_store_is_set_aside_with_its_folder_and_the_training_begins_anew(
    object_store: ObjectStore,
) -> None:
    folder = to_path(object_store.url("head/checkpoints"))
    head = fit(folder)
    (folder / "head-750.data-00000-of-00001").write_bytes(b"damaged")
    with pytest.raises(DamagedError, match=rf"checkpoint {folder}/head-750 is damaged") as caught:
        fit(folder)
    assert quarantine(caught.value) == f"{caught.value.path} is damaged ({caught.value.__cause__}). It is now " + (
        f"{folder.parent}/damaged/checkpoints, and is made again."
    )
    assert listed(folder) == []
    assert len(listed(folder.parent / "damaged" / "checkpoints")) == 7
    assert_same_bits(fit(folder, told := Advances()), head)
    assert told.counts[0] == 0


def test_averages_soon_forget_the_start_and_then_decay_as_they_should() -> None:
    for steps, decay in ((0, 1 / 10), (1, 2 / 11), (90, 91 / 100), (889, 890 / 899), (10_000, 0.99)):
        average = tf.Variable(1.0)
        update_ema([average], [tf.Variable(0.0)], tf.constant(steps, tf.int64), 0.99)
        assert float(average) == pytest.approx(decay)
