"""Exports in another precision than their model: they predict like the pipeline in that precision."""

import json
from pathlib import Path

import numpy as np
import pytest

from tasks.decode.photos import open_stores, read_pictures
from tasks.export.photos import read_reference
from tasks.export.runners import predict_in, run_tflite
from tasks.progress import NullProgress
from tests.export.exported import FORMATS, export
from tests.predict.trained import Way, train
from tests.train.tiny import LABELS

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")]


@pytest.mark.parametrize(
    ("way", "precision", "name"),
    [(Way("int8"), "float32", "model.tflite"), (Way(None), "int8", "model-int8.tflite")],
    ids=["head in int8", "fine-tuned network"],
)
def test_format_in_another_precision_than_the_model_predicts_like_the_pipeline_in_that_precision(
    way: Way, precision: str, name: str, tmp_path: Path
) -> None:
    done = export(train(tmp_path, way))
    formats = json.loads((done.folder / "metrics.json").read_text())["forms"]
    assert set(formats) == FORMATS
    own = {"model-int8.tflite"} if precision == "float32" else FORMATS - {"model-int8.tflite"}
    assert [formats[each]["agreement"] for each in own] == [1.0] * len(own)
    if precision == "float32":
        assert formats["model-int8.tflite"]["largest_difference"] < 0.01, "it has the model's own network"
    reference = read_reference(done.trained.results, LABELS)
    images = read_pictures(open_stores(done.trained.root, done.model.decodes[0]).decoded, reference.keys)
    pictures = [images[key] for key in reference.keys]
    predicted = predict_in(precision, done.model, pictures, NullProgress())
    exported = run_tflite((done.folder / name).read_bytes(), pictures, NullProgress())
    np.testing.assert_allclose(exported, predicted, atol=0.01)
    assert not np.allclose(predicted, reference.probabilities, rtol=1e-2, atol=0)
