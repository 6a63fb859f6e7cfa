"""Training a whole network: it learns, keeps to its time, and resumes; several devices train the network of one."""

import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tasks.backbone.backbones import Prepared
from tasks.errors import SettingError, StoreError
from tasks.progress import NullProgress, Progress
from tasks.runtime.tensorflow_import import keras, tf
from tasks.storage.layout import DataRoot
from tasks.train.network import Network, read_network
from tasks.train.network_training import train_network
from tasks.train.photos import LabelledPhotos
from tasks.train.pictures import Pictures, open_pictures
from tasks.train.schedule import LEAST_STEPS, MEASURED_STEPS, NetworkRecipe
from tasks.train.training_state import TrainingContext
from tests.support.progress import Advances, Tally
from tests.support.repository import REPOSITORY
from tests.train import several
from tests.train.several import train_tiny
from tests.train.tiny import DECODE, LABELS, tiny

pytestmark = pytest.mark.slow

RECIPE = NetworkRecipe("random", epochs=10, batch_size=8, learning_rate=0.01, seed=0)
FINETUNE = replace(RECIPE, start="pretrained")

RUN = """
import os, signal, sys
from pathlib import Path
from tasks.train.network import save_network
from tasks.progress import NullProgress
from tests.train.several import train_tiny
from tests.train.test_network_training import FINETUNE

class Killer(NullProgress):
    told = 0

    def advance(self, count):
        self.told += count
        if self.told == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)

folder = Path(sys.argv[1])
save_network(train_tiny(folder, FINETUNE, folder / "checkpoints", Killer()), folder / "resumed")
"""


def train(prepared: Prepared, pictures: Pictures, recipe: NetworkRecipe, progress: Progress | None = None) -> Network:
    return train_network(prepared, pictures, LABELS, recipe, TrainingContext(progress or NullProgress()))


def same_bits(one: Network, other: Network) -> bool:
    return all(map(np.array_equal, one.model.get_weights(), other.model.get_weights()))


def facts(steps: int, *, cut: bool) -> dict[str, Any]:
    return {"steps": steps, "passes": steps * RECIPE.batch_size, "cut": cut}


def batch_norm(model: keras.Model) -> list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    """Means and variances of the only batch-norm."""
    found = {variable.path.rsplit("/", 1)[1]: variable.numpy() for variable in model.non_trainable_variables}
    return [found["moving_mean"], found["moving_variance"]]


@pytest.mark.parametrize("recipe", [FINETUNE, RECIPE], ids=["pretrained", "random"])
def test_two_colours_are_told_apart_on_photos_that_it_never_saw(
    folder: Path, prepared: Prepared, photos: LabelledPhotos, training: Pictures, recipe: NetworkRecipe
) -> None:
    network = train(prepared, training, recipe, told := Tally())
    with open_pictures(photos, ~photos.of("train"), DECODE, DataRoot(folder)) as unseen:
        probabilities = network.probabilities(unseen, NullProgress())
    # By chance it would be a half of the two dozen.
    assert (probabilities.argmax(axis=1) == unseen.labels).mean() > 0.9
    steps = RECIPE.steps(len(training))
    assert network.facts == facts(steps, cut=False)
    assert (told.total, told.unit, told.done) == (steps * 8, "photo", steps * 8)
    losses = [float(line.rpartition("= ")[2]) for line in told.lines]
    assert told.lines[-1].startswith(f"After {steps} training steps, loss = ")
    assert losses[0] < np.log(2) + 0.5
    assert losses[-1] < losses[0] / 2


def test_fine_tuning_moves_weights_and_leaves_the_batch_norms_averages(prepared: Prepared, training: Pictures) -> None:
    network = train(prepared, training, FINETUNE)
    saved = keras.saving.load_model(prepared.weights)
    np.testing.assert_array_equal(batch_norm(network.model), batch_norm(saved))
    kernels = [[weights for weights in model.get_weights() if weights.ndim == 4] for model in (saved, network.model)]
    assert len(kernels[0]) == 2
    for before, after in zip(*kernels, strict=True):
        assert 1e-3 < np.abs(after - before).max() < 0.5


def test_from_random_weights_the_batch_norms_averages_are_those_of_the_photos(
    prepared: Prepared, training: Pictures
) -> None:
    model = train(prepared, training, RECIPE).model
    pixels = np.concatenate([batch.pixels for batch in training.in_order(8)]).astype(np.float32)
    (kernel,) = [weights for weights in model.get_weights() if weights.shape == (3, 3, 3, 8)]
    filtered = np.asarray(tf.nn.conv2d(pixels / 127.5 - 1, kernel, 2, "VALID"))
    means, variances = batch_norm(model)
    np.testing.assert_allclose(means, filtered.mean(axis=(0, 1, 2)), atol=0.1 * filtered.std())
    np.testing.assert_allclose(variances, filtered.var(axis=(0, 1, 2)), rtol=0.2)


@pytest.mark.parametrize("recipe", [FINETUNE, RECIPE], ids=["pretrained", "random"])
def test_the_seed_decides_all_bits(prepared: Prepared, training: Pictures, recipe: NetworkRecipe) -> None:
    one, same, other = (train(prepared, training, replace(recipe, epochs=1, seed=seed)) for seed in (3, 3, 4))
    assert same_bits(one, same)
    pairs = zip(one.model.get_weights(), other.model.get_weights(), strict=True)
    assert not any(np.array_equal(*pair) for pair in pairs if pair[0].ndim == 4)


def test_a_time_that_is_too_short_cuts_the_steps_before_the_rate_is_planned(
    prepared: Prepared, training: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A clock that is read when the time begins and after each step, which takes a quarter of a second.
    now = count(0.0, 0.25)
    monkeypatch.setattr("tasks.train.schedule.time", SimpleNamespace(monotonic=lambda: next(now)))
    network = train(prepared, training, replace(RECIPE, epochs=100_000, seconds=10.0), told := Tally())
    assert network.facts == facts(40, cut=True)
    assert told.beginnings == 2
    assert told.total == told.done == 40 * 8


def test_no_time_makes_a_few_steps_and_time_enough_changes_nothing(prepared: Prepared, training: Pictures) -> None:
    none, timed, free = (
        train(prepared, training, replace(RECIPE, epochs=1, seconds=time)) for time in (0.0, 600.0, None)
    )
    assert none.facts == facts(MEASURED_STEPS + 1, cut=True)
    assert timed.facts == facts(LEAST_STEPS, cut=False)
    assert same_bits(free, timed)


def test_a_rate_that_is_far_too_high_is_named(prepared: Prepared, training: Pictures) -> None:
    with pytest.raises(SettingError, match=r"its loss is (nan|inf)\. Give a smaller --learning-rate than 1e\+38"):
        train(prepared, training, replace(RECIPE, learning_rate=1e38))


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=REPOSITORY, check=False, capture_output=True, text=True)


def test_killed_training_resumes_from_its_checkpoint_and_ends_with_the_same_bits(tmp_path: Path) -> None:
    assert run("-c", RUN, tmp_path, 60 * 8).returncode == -signal.SIGKILL
    assert Path(tf.train.latest_checkpoint(str(tmp_path / "checkpoints"))).name == "head-50"
    assert run("-c", RUN, tmp_path, -1).returncode == 0
    assert same_bits(read_network(tmp_path / "resumed", tiny(tmp_path)), train_tiny(tmp_path, FINETUNE))


def test_finished_training_is_read_and_not_repeated_unless_its_checkpoint_is_damaged(tmp_path: Path) -> None:
    checkpoints = tmp_path / "checkpoints"
    first = train_tiny(tmp_path, FINETUNE, checkpoints)
    assert same_bits(train_tiny(tmp_path, FINETUNE, checkpoints, told := Tally()), first)
    assert (told.done, told.lines) == (told.total, [])
    newest = Path(f"{tf.train.latest_checkpoint(str(checkpoints))}.index")
    newest.write_bytes(newest.read_bytes()[:20])
    with pytest.raises(StoreError, match=r"is damaged .*Delete the folder"):
        train_tiny(tmp_path, FINETUNE, checkpoints)


@pytest.fixture(scope="module")
def two_devices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Networks that a processor cut into two devices, in place of two GPUs, has trained."""
    folder = tmp_path_factory.mktemp("several")
    done = run("-m", several.__name__, folder)
    assert (done.returncode, done.stdout) == (0, "2 replicas"), done.stderr
    return folder


def assert_close(one: Sequence[Any], other: Sequence[Any]) -> None:
    for weights, others in zip(one, other, strict=True):
        np.testing.assert_allclose(weights, others, atol=2e-3)


@pytest.mark.parametrize("start", several.NETWORKS)
def test_a_whole_network_learns_on_several_devices_and_is_kept_as_any_other(start: str, two_devices: Path) -> None:
    together = read_network(two_devices / start, tiny(two_devices))
    alone = train_tiny(two_devices, several.NETWORKS[start])
    assert together.facts == alone.facts
    if start == "pretrained":
        assert_close(together.model.get_weights(), alone.model.get_weights())
    # Batch-norms from random weights measure each share by itself.
    assert all(np.isfinite(weights).all() for weights in together.model.get_weights())
    kernel = together.model.get_layer("labels").get_weights()[0]
    assert np.abs(kernel).max() > 0.01


def test_a_training_that_several_devices_began_is_resumed_by_one(two_devices: Path) -> None:
    told, checkpoints = Advances(), two_devices / "checkpoints"
    resumed = train_tiny(two_devices, several.PRETRAINED, checkpoints, told)
    assert 0 < told.counts[0] <= several.INTERRUPTED
    whole = train_tiny(two_devices, several.PRETRAINED)
    assert_close(resumed.model.get_weights(), whole.model.get_weights())
