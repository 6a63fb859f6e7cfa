"""A whole network: its predictions, and the files that hold it."""

from pathlib import Path

import numpy as np
import pytest
import scipy.special

from tasks.backbone.backbones import Prepared
from tasks.errors import StoreError
from tasks.progress import NullProgress
from tasks.runtime.tensorflow_import import keras
from tasks.storage.layout import DataRoot
from tasks.train.network import FACTS, WEIGHTS, Network, build_network, read_network, save_network
from tasks.train.photos import LabelledPhotos
from tasks.train.pictures import Pictures, open_pictures
from tests.support.progress import Tally
from tests.train.tiny import COUNT, DECODE, LABELS, tiny


@pytest.fixture(scope="module")
def network(prepared: Prepared) -> Network:
    """A network that prefers something, though it was never trained."""
    model = build_network(prepared, len(LABELS), pretrained=True)
    kernel, bias = model.get_layer("labels").get_weights()
    model.get_layer("labels").set_weights([np.random.default_rng(0).normal(0, 9, kernel.shape), bias])
    return Network(model, LABELS, {"steps": 3})


@pytest.fixture
def saved(network: Network, tmp_path: Path) -> Path:
    save_network(network, tmp_path)
    return tmp_path


def test_predictions_are_the_softmax_of_the_model_s_scores_of_each_photo(network: Network, pictures: Pictures) -> None:
    predicted = network.probabilities(pictures, told := Tally())
    pixels = np.concatenate([batch.pixels for batch in pictures.in_order(5)]).astype(np.float32)
    scores = np.asarray(network.model(pixels, training=False), np.float64)
    np.testing.assert_allclose(predicted, scipy.special.softmax(scores, axis=1), rtol=1e-4, atol=1e-6)
    assert predicted.dtype == np.float32
    assert np.ptp(predicted[:, 0]) > 0.01
    assert (told.total, told.unit, told.done) == (COUNT, "photo", COUNT)


@pytest.mark.parametrize("remainder", [4, 9], ids=["some", "none"])
def test_a_photo_s_prediction_depends_on_no_other_photo(
    network: Network, folder: Path, photos: LabelledPhotos, pictures: Pictures, remainder: int
) -> None:
    among_all = network.probabilities(pictures, NullProgress())
    few = np.arange(COUNT) % 9 == remainder
    with open_pictures(photos, few, DECODE, DataRoot(folder)) as some:
        np.testing.assert_array_equal(network.probabilities(some, NullProgress()), among_all[few])


def test_new_network_gives_all_labels_the_same_probability(prepared: Prepared, pictures: Pictures) -> None:
    fresh = Network(build_network(prepared, 4, pretrained=True), tuple("abcd"), {})
    np.testing.assert_array_equal(fresh.probabilities(pictures, NullProgress()), np.full((COUNT, 4), 0.25, np.float32))


def test_layers_before_the_head_have_the_backbone_s_weights_or_random_ones(prepared: Prepared) -> None:
    saved = keras.saving.load_model(prepared.weights).get_layer("first").get_weights()[0]
    own, random = (first_kernel(build_network(prepared, 2, pretrained=pretrained)) for pretrained in (True, False))
    np.testing.assert_array_equal(own, saved)
    assert np.abs(random - saved).max() > 0.01
    assert random.std() == pytest.approx(saved.std(), rel=0.3)


def first_kernel(model: keras.Model) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """The first convolution's weights: the only ones of their shape."""
    (kernel,) = [weight for weight in model.get_weights() if weight.shape == (3, 3, 3, 8)]
    found: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = kernel
    return found


def test_layers_that_a_user_had_frozen_are_trained(tmp_path: Path) -> None:
    prepared = tiny(tmp_path)
    model = keras.saving.load_model(prepared.weights)
    model.get_layer("first").trainable = False
    model.save(prepared.weights)
    assert len(build_network(tiny(tmp_path), 2, pretrained=True).trainable_variables) == 7


def test_network_that_is_read_predicts_the_same_bits(
    network: Network, prepared: Prepared, pictures: Pictures, saved: Path
) -> None:
    assert {path.name for path in saved.iterdir()} == {FACTS, WEIGHTS}
    read = read_network(saved, prepared)
    assert (read.labels, read.facts) == (LABELS, {"steps": 3})
    one, other = (each.probabilities(pictures, NullProgress()) for each in (network, read))
    np.testing.assert_array_equal(one, other)


def test_where_there_is_no_network_the_file_is_named(prepared: Prepared, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=FACTS):
        read_network(tmp_path, prepared)


@pytest.mark.parametrize("damage", ["short", "empty", "gone", "another network", "facts"])
def test_damaged_network_is_an_error_that_says_what_to_delete(prepared: Prepared, saved: Path, damage: str) -> None:
    file = saved / WEIGHTS
    if damage == "gone":
        file.unlink()
    elif damage == "another network":
        save_network(Network(build_network(prepared, 5, pretrained=True), LABELS, {}), saved)
    elif damage == "facts":
        (saved / FACTS).write_text("[]")
    else:
        file.write_bytes(file.read_bytes()[: 5000 if damage == "short" else 0])
    with pytest.raises(StoreError, match=rf"network in {saved} is damaged .*Delete the folder"):
        read_network(saved, prepared)
