"""Exports in another precision than their model: they predict like the pipeline in that precision."""

import json
from pathlib import Path

import numpy as np
import pytest

from tasks.bottleneck.precision import Precision
from tasks.export.export import SAMPLE
from tasks.export.formats import FORMATS as ALL
from tasks.export.photos import StoredPictures, read_reference
from tasks.export.precision_vectors import PrecisionPredictor
from tasks.export.runners import run_pixels
from tasks.export.tensorflow_runners import predict_in_int8
from tasks.progress import NullProgress
from tasks.train.head import Floats
from tests.export.exported import FORMATS, Exported, export
from tests.predict.trained import Way, train
from tests.train.tiny import LABELS

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")]


def predict_in(precision: Precision, done: Exported, keys: list[str]) -> Floats:
    pictures = StoredPictures(done.trained.root, done.model.decodes)
    if done.trained.folder.joinpath("head.json").exists():
        found, probabilities = PrecisionPredictor(precision, done.model, pictures, NullProgress()).predict(keys)
        assert found == keys
        return probabilities
    return predict_in_int8(done.model, pictures.read(keys, done.model.decodes[0]))


@pytest.mark.parametrize(
    ("way", "precision", "name"),
    [(Way("int8"), "float32", "model.tflite"), (Way(None), "int8", "model-int8.tflite")],
    ids=["head in int8", "fine-tuned network"],
)
def test_format_in_another_precision_than_the_model_predicts_like_the_pipeline_in_that_precision(
    way: Way, precision: Precision, name: str, tmp_path: Path
) -> None:
    done = export(train(tmp_path, way))
    formats = json.loads((done.folder / "metrics.json").read_text())["forms"]
    assert set(formats) == FORMATS
    own = {"model-int8.tflite"} if precision == "float32" else FORMATS - {"model-int8.tflite"}
    assert [formats[each]["in_its_precision"]["agreement"] for each in own] == [1.0] * len(own)
    if precision == "float32":
        assert formats["model-int8.tflite"]["largest_difference"] < 0.01, "it has the model's own network"
    reference = read_reference(done.trained.results, LABELS)
    keys = list(reference.keys)
    predicted = predict_in(precision, done, keys)
    pixels = StoredPictures(done.trained.root, done.model.decodes).read(keys, done.model.decodes[0])
    (format_,) = (each for each in ALL if each.name == name)
    exported = run_pixels(format_, done.write(tmp_path / "files"), [pixels], len(LABELS))
    np.testing.assert_allclose(exported.probabilities, predicted, atol=0.01)
    assert (exported.novelty is None) == (way.precision is None), "a fine-tuned network has no novelty"
    assert not np.allclose(predicted, reference.probabilities, rtol=1e-2, atol=0)
    # A second call reads the vectors that the first one kept, in any order of the photos.
    np.testing.assert_array_equal(predict_in(precision, done, keys[::-1])[::-1], predicted)
    assert len(keys) < SAMPLE or formats[name]["in_its_precision"]["photos"] == SAMPLE
