"""Training a whole network: it learns, keeps to its time, and goes on where it was killed."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tasks.backbone.backbones import Prepared
from tasks.errors import SettingError, StoreError
from tasks.progress import NullProgress
from tasks.runtime.tensorflow_import import keras, tf
from tasks.storage.layout import DataRoot
from tasks.train.examples import TrainingContext
from tasks.train.network import Network, read_network
from tasks.train.network_training import train_network
from tasks.train.photos import LabelledPhotos
from tasks.train.pictures import Pictures, open_pictures
from tasks.train.schedule import LEAST_STEPS, MEASURED_STEPS, NetworkRecipe
from tests.support.progress import Tally
from tests.train.tiny import DECODE, LABELS, coloured_photos, tiny

COUNT = 120
RECIPE = NetworkRecipe("random", epochs=10, batch_size=8, learning_rate=0.01, seed=0)

RUN = """
import os, signal, sys
from pathlib import Path
from tasks.train.network import save_network
from tasks.progress import NullProgress
from tests.train.test_network_training import train

class Killer(NullProgress):
    told = 0

    def advance(self, count):
        self.told += count
        if self.told == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)

folder = Path(sys.argv[1])
save_network(train(folder, Killer(), folder / "checkpoints"), folder / "resumed")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("training")


@pytest.fixture(scope="module")
def prepared(folder: Path) -> Prepared:
    return tiny(folder)


@pytest.fixture(scope="module")
def photos(folder: Path) -> LabelledPhotos:
    return coloured_photos(DataRoot(folder), COUNT)[0]


@pytest.fixture(scope="module")
def training(folder: Path, photos: LabelledPhotos) -> Iterator[Pictures]:
    with open_pictures(photos, photos.of("train"), DECODE, DataRoot(folder)) as pictures:
        yield pictures


def train(folder: Path, progress: NullProgress, checkpoints: Path | None) -> Network:
    """Fine-tune on the same photos each time, wherever they are kept."""
    photos, _ = coloured_photos(DataRoot(folder), COUNT)
    recipe = replace(RECIPE, start="pretrained")
    with open_pictures(photos, photos.of("train"), DECODE, DataRoot(folder)) as pictures:
        return train_network(tiny(folder), pictures, LABELS, recipe, TrainingContext(progress, checkpoints))


def batch_norm(model: keras.Model) -> list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    """Means and variances of the only batch-norm."""
    found = {variable.path.rsplit("/", 1)[1]: variable.numpy() for variable in model.non_trainable_variables}
    return [found["moving_mean"], found["moving_variance"]]


@pytest.mark.parametrize("start", ["pretrained", "random"])
def test_two_colours_are_told_apart_on_photos_that_it_never_saw(
    folder: Path, prepared: Prepared, photos: LabelledPhotos, training: Pictures, start: str
) -> None:
    recipe = replace(RECIPE, start=start)  # type: ignore[arg-type]  # one of the two words
    network = train_network(prepared, training, LABELS, recipe, TrainingContext(told := Tally()))
    with open_pictures(photos, ~photos.of("train"), DECODE, DataRoot(folder)) as unseen:
        probabilities = network.probabilities(unseen, NullProgress())
    # By chance it would be a half of the two dozen.
    assert (probabilities.argmax(axis=1) == unseen.labels).mean() > 0.9
    steps = RECIPE.steps(len(training))
    assert network.facts == {"steps": steps, "passes": steps * 8, "cut": False}
    assert (told.total, told.unit, told.done) == (steps * 8, "photo", steps * 8)
    losses = [float(line.rpartition("= ")[2]) for line in told.lines]
    assert told.lines[-1].startswith(f"After {steps} training steps, loss = ")
    assert losses[0] < np.log(2) + 0.5
    assert losses[-1] < losses[0] / 2


def test_fine_tuning_moves_weights_and_leaves_the_batch_norms_averages(prepared: Prepared, training: Pictures) -> None:
    network = train_network(
        prepared, training, LABELS, replace(RECIPE, start="pretrained"), TrainingContext(NullProgress())
    )
    saved = keras.saving.load_model(prepared.weights)
    np.testing.assert_array_equal(batch_norm(network.model), batch_norm(saved))
    kernels = [[weights for weights in model.get_weights() if weights.ndim == 4] for model in (saved, network.model)]
    assert len(kernels[0]) == 2
    for before, after in zip(*kernels, strict=True):
        assert 1e-3 < np.abs(after - before).max() < 0.5


def test_from_random_weights_the_batch_norms_averages_are_those_of_the_photos(
    prepared: Prepared, training: Pictures
) -> None:
    model = train_network(prepared, training, LABELS, RECIPE, TrainingContext(NullProgress())).model
    pixels = np.concatenate([batch.pixels for batch in training.in_order(8)]).astype(np.float32)
    (kernel,) = [weights for weights in model.get_weights() if weights.shape == (3, 3, 3, 8)]
    filtered = np.asarray(tf.nn.conv2d(pixels / 127.5 - 1, kernel, 2, "VALID"))
    means, variances = batch_norm(model)
    np.testing.assert_allclose(means, filtered.mean(axis=(0, 1, 2)), atol=0.1 * filtered.std())
    np.testing.assert_allclose(variances, filtered.var(axis=(0, 1, 2)), rtol=0.2)


@pytest.mark.parametrize("start", ["pretrained", "random"])
def test_the_seed_decides_all_bits(prepared: Prepared, training: Pictures, start: str) -> None:
    recipe = replace(RECIPE, start=start, epochs=1)  # type: ignore[arg-type]  # one of the two words
    one, same, other = (
        train_network(
            prepared, training, LABELS, replace(recipe, seed=seed), TrainingContext(NullProgress())
        ).model.get_weights()
        for seed in (3, 3, 4)
    )
    assert all(np.array_equal(*pair) for pair in zip(one, same, strict=True))
    assert not any(np.array_equal(*pair) for pair in zip(one, other, strict=True) if pair[0].ndim == 4)


def test_a_time_that_is_too_short_cuts_the_steps_before_the_rate_is_planned(
    prepared: Prepared, training: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A clock that is looked at when the time begins and after each step, which takes a quarter of a second.
    now = count(0.0, 0.25)
    monkeypatch.setattr("tasks.train.schedule.time", SimpleNamespace(monotonic=lambda: next(now)))
    recipe = replace(RECIPE, epochs=100_000, seconds=10.0)
    network = train_network(prepared, training, LABELS, recipe, TrainingContext(told := Tally()))
    steps = 40
    assert network.facts == {"steps": steps, "passes": steps * 8, "cut": True}
    assert told.beginnings == 2
    assert told.total == told.done == steps * 8


def test_no_time_at_all_makes_a_few_steps(prepared: Prepared, training: Pictures) -> None:
    network = train_network(prepared, training, LABELS, replace(RECIPE, seconds=0.0), TrainingContext(NullProgress()))
    assert network.facts == {"steps": MEASURED_STEPS + 1, "passes": 8 * (MEASURED_STEPS + 1), "cut": True}


def test_time_enough_changes_nothing(prepared: Prepared, training: Pictures) -> None:
    recipe = replace(RECIPE, epochs=1)
    free = train_network(prepared, training, LABELS, recipe, TrainingContext(NullProgress()))
    timed = train_network(prepared, training, LABELS, replace(recipe, seconds=600.0), TrainingContext(NullProgress()))
    assert timed.facts == {"steps": LEAST_STEPS, "passes": LEAST_STEPS * 8, "cut": False}
    pairs = zip(free.model.get_weights(), timed.model.get_weights(), strict=True)
    assert all(np.array_equal(*pair) for pair in pairs)


def test_a_rate_that_is_far_too_high_is_named(prepared: Prepared, training: Pictures) -> None:
    with pytest.raises(SettingError, match=r"its loss is (nan|inf)\. Give a smaller --learning-rate than 1e\+38"):
        train_network(prepared, training, LABELS, replace(RECIPE, learning_rate=1e38), TrainingContext(NullProgress()))


def run(folder: Path, kill_at: int) -> int:
    root = Path(__file__).parent.parent.parent
    return subprocess.run([sys.executable, "-c", RUN, str(folder), str(kill_at)], cwd=root, check=False).returncode


def test_killed_training_goes_on_from_its_checkpoint_and_ends_with_the_same_bits(tmp_path: Path) -> None:
    assert run(tmp_path, kill_at=60 * 8) == -signal.SIGKILL
    assert Path(tf.train.latest_checkpoint(str(tmp_path / "checkpoints"))).name == "head-50"
    assert run(tmp_path, kill_at=-1) == 0
    resumed = read_network(tmp_path / "resumed", tiny(tmp_path)).model.get_weights()
    undisturbed = train(tmp_path, NullProgress(), None).model.get_weights()
    assert all(np.array_equal(*pair) for pair in zip(resumed, undisturbed, strict=True))


def test_finished_training_is_read_and_not_repeated(tmp_path: Path) -> None:
    train(tmp_path, NullProgress(), tmp_path / "checkpoints")
    told = Tally()
    photos, _ = coloured_photos(DataRoot(tmp_path), COUNT)
    with open_pictures(photos, photos.of("train"), DECODE, DataRoot(tmp_path)) as pictures:
        recipe = replace(RECIPE, start="pretrained")
        train_network(tiny(tmp_path), pictures, LABELS, recipe, TrainingContext(told, tmp_path / "checkpoints"))
    assert told.done == told.total
    assert told.lines == []


def test_damaged_checkpoint_is_an_error_that_says_what_to_delete(tmp_path: Path) -> None:
    train(tmp_path, NullProgress(), tmp_path / "checkpoints")
    newest = Path(f"{tf.train.latest_checkpoint(str(tmp_path / 'checkpoints'))}.index")
    newest.write_bytes(newest.read_bytes()[:20])
    with pytest.raises(StoreError, match=r"is damaged .*Delete the folder"):
        train(tmp_path, NullProgress(), tmp_path / "checkpoints")
