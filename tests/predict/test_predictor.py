"""A model at work: the numbers of its evaluation, whatever photos it is asked of at once."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from tasks.bottleneck.precision import Precision
from tasks.bottleneck.stored import Dtype
from tasks.bottleneck.views import Pixels
from tasks.decode.images import read_pixels
from tasks.decode.photos import open_stores
from tasks.errors import ModelError
from tasks.predict.models import Model, read_model
from tasks.predict.predictor import Predictor
from tasks.progress import Silence
from tests.predict.trained import COUNT, Trained, train


def decoded(trained: Trained, model: Model) -> Pixels:
    """The pixels of all photos that were evaluated, in that order."""
    store = open_stores(trained.root, model.settings.decode).decoded
    keys = trained.evaluated()["sha256"].combine_chunks()
    images = {row["sha256"]: row["image"]["bytes"] for row in store.read(keys).to_pylist()}
    return np.stack([read_pixels(images[key]) for key in keys.to_pylist()])


@pytest.mark.parametrize(
    ("how", "dtype"),
    [("float32", "float32"), ("int8", "float16"), (None, "float32")],
    ids=["float32", "int8, stored in float16", "network"],
)
def test_probabilities_are_those_of_the_evaluation(how: Precision | None, dtype: Dtype, tmp_path: Path) -> None:
    trained = train(tmp_path, how, dtype)
    model = read_model(trained.folder)
    predictor = Predictor(model, Silence())
    pixels, expected = decoded(trained, model), np.array(trained.evaluated()["probabilities"].to_pylist())
    assert expected.shape == (COUNT, 2)
    assert expected[:, 0].std() > 0.01
    predicted = predictor.predict(pixels)
    assert predicted.dtype == np.float32
    np.testing.assert_allclose(predicted, expected, atol=1e-6)
    for count in (0, 1, predictor.batch_size + 1):
        np.testing.assert_allclose(predictor.predict(pixels[:count]), expected[:count], atol=1e-6)


def test_head_without_its_weights_is_an_error_that_names_the_file(trained: Trained, tmp_path: Path) -> None:
    folder = tmp_path / "train" / trained.folder.name
    shutil.copytree(trained.folder, folder)
    (folder / "head.npz").unlink()
    model = read_model(folder, read_model(trained.folder).prepared.weights)
    with pytest.raises(ModelError, match=r"is incomplete: .*head\.npz is missing"):
        Predictor(model, Silence())
