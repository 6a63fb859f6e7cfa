"""The predictor: it gives the numbers of the evaluation, for batches of any size."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from tasks.bottleneck.views import Pixels
from tasks.decode.images import read_pixels
from tasks.decode.photos import open_stores, read_pictures
from tasks.errors import ModelError
from tasks.predict.models import Model, read_model
from tasks.predict.predictor import Predictor
from tasks.progress import NullProgress
from tests.predict.trained import CLASSIC, COUNT, Trained, Way, train

pytestmark = pytest.mark.slow


def decoded(trained: Trained, model: Model) -> list[Pixels]:
    """The pixels of all photos that were evaluated, in that order, of each way to decode."""
    keys = trained.evaluated()["sha256"].to_pylist()
    pixels = []
    for decode in model.decodes:
        images = read_pictures(open_stores(trained.root, decode).decoded, keys)
        pixels.append(np.stack([read_pixels(images[key]) for key in keys]))
    return pixels


@pytest.mark.parametrize(
    "way",
    [
        Way("float32"),
        Way("int8"),
        Way("float32", several=True),
        Way("float32", several=True, recipe=CLASSIC),
        Way(None),
    ],
    ids=["float32", "int8", "two backbones and crops", "two backbones, classic", "network"],
)
def test_probabilities_are_those_of_the_evaluation(way: Way, tmp_path: Path) -> None:
    trained = train(tmp_path, way)
    model = read_model(trained.folder)
    predictor = Predictor(model, NullProgress())
    assert len(predictor.decodes) == (4 if way.several else 1)
    pixels, expected = decoded(trained, model), np.array(trained.evaluated()["probabilities"].to_pylist())
    assert expected.shape == (COUNT, 2)
    assert expected[:, 0].std() > 0.01
    predicted = predictor.predict(pixels)
    assert predicted.dtype == np.float32
    np.testing.assert_allclose(predicted, expected, atol=1e-5)
    novelty = predictor.predict_batch([every[: predictor.batch_size] for every in pixels]).novelty
    assert (novelty is None) == (way.precision is None)
    if novelty is not None:
        assert len(novelty) == min(COUNT, predictor.batch_size)
        assert np.ptp(novelty) > 0
    for count in (0, 1, predictor.batch_size + 1):
        some = [every[:count] for every in pixels]
        np.testing.assert_allclose(predictor.predict(some), expected[:count], atol=1e-5)


def test_head_without_its_weights_is_an_error_that_names_the_file(trained: Trained, tmp_path: Path) -> None:
    folder = tmp_path / "train" / trained.folder.name
    shutil.copytree(trained.folder, folder)
    (folder / "head.npz").unlink()
    (prepared,) = read_model(trained.folder).prepared
    model = read_model(folder, {prepared.backbone.weights_sha256: prepared.weights})
    with pytest.raises(ModelError, match=r"is incomplete: .*head\.npz is missing"):
        Predictor(model, NullProgress())
