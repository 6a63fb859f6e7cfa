"""A data root on an object store: its models are exported there, and predict from there."""

from pathlib import Path

import numpy as np
import pytest

from tasks.decode.images import decode_photo, read_pixels
from tasks.export.export import ExportInputs, export_model
from tasks.export.template import open_template
from tasks.paths import AnyPath
from tasks.predict.models import read_model
from tasks.predict.predictor import Predictor
from tasks.progress import NullProgress
from tasks.runtime.tensorflow_import import tf
from tasks.shards.parquet import read_parquet
from tasks.storage.files import listed
from tasks.storage.layout import DataRoot
from tasks.train.head import load_head
from tests.export.exported import FORMATS, PUBLISHED
from tests.predict.trained import Way, train_below

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")]


def test_model_on_an_object_store_is_evaluated_and_exported_there_and_predicts_from_there(
    far_root: AnyPath, tmp_path: Path
) -> None:
    root: DataRoot = DataRoot(far_root)
    key, results = train_below(root, tmp_path, Way("float32"))
    model, inputs = read_model(root.train(key)), ExportInputs(root.evaluate(results), tmp_path / "photos", root)
    done = export_model(model, inputs, NullProgress())
    assert [done.details()["test"][name]["agreement"] for name in sorted(FORMATS - {"model-int8.tflite"})] == [1.0] * 4
    assert [path.name for path in listed(root.export(key))] == PUBLISHED
    files = tmp_path / "files"
    files.mkdir()
    open_template(model, root, NullProgress()).write_files(load_head(model.folder), files)

    rows = read_parquet(root.evaluate(results) / "predictions.parquet").to_pylist()[:5]
    (decode,) = model.decodes
    pixels = [read_pixels(decode_photo((inputs.photos / row["path"]).read_bytes(), decode).image) for row in rows]
    predicted = Predictor(model, NullProgress()).predict([np.stack(pixels)])
    np.testing.assert_allclose(predicted, [row["probabilities"] for row in rows], atol=1e-6)
    answer = tf.saved_model.load(str(files)).signatures["serving_default"]
    photos = tf.constant([(inputs.photos / row["path"]).read_bytes() for row in rows])
    assert [label.decode() for label in answer(image_bytes=photos)["label"].numpy()] == [
        row["predicted"] for row in rows
    ]
