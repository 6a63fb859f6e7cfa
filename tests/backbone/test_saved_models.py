"""A SavedModel as a backbone: with or without a signature, and those that do not take photos."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.errors import BackboneError, SettingError
from tasks.runtime.tensorflow_import import keras, tf
from tests.backbone.networks import (
    SIZE,
    SPEC,
    assert_makes,
    classifier,
    export,
    export_function,
    features,
    headless,
    own,
    scaled,
)

pytestmark = pytest.mark.slow


def test_saved_model_may_hold_a_lambda_since_that_is_a_graph(tmp_path: Path) -> None:
    model = classifier(keras.layers.Lambda(lambda x: x * 2))
    assert_makes(own(export(headless(model), tmp_path)), features(model, scaled()))


def test_output_is_named_where_there_are_several_and_the_scaling_always(tmp_path: Path) -> None:
    path = export_function(lambda x: {"mean": tf.reduce_mean(x, (1, 2)), "photos": x}, tmp_path)
    with pytest.raises(SettingError, match="does not say how to scale its pixels"):
        own(path, "auto")
    prepared = own(path, "unit", bottleneck_tensor="mean")
    assert_makes(prepared, scaled("unit").mean((1, 2)))
    for named, message in (("", "several outputs"), ("pool", "no output 'pool'"), ("mean,pool", "no output 'pool'")):
        with pytest.raises(SettingError, match=rf"{message}\. Name one with --bottleneck-tensor: mean, photos"):
            own(path, "unit", bottleneck_tensor=named)


def test_saved_model_without_a_signature_is_called_as_a_whole(tmp_path: Path) -> None:
    weights = np.random.default_rng(2).normal(size=(3, 4)).astype(np.float32)

    class Whole(tf.Module):  # type: ignore[misc]  # TensorFlow ships no types
        def __init__(self) -> None:
            super().__init__()
            self.weights = tf.Variable(weights)

        @tf.function  # type: ignore[untyped-decorator]
        def __call__(self, photos: Any, training: bool = False) -> Any:
            return tf.reduce_mean(photos, (1, 2)) @ self.weights * (1000 if training else 1)

    whole = Whole()
    for training in (True, False):
        whole.__call__.get_concrete_function(SPEC, training=training)
    tf.saved_model.save(whole, str(tmp_path / "hub"), signatures={})
    assert_makes(own(tmp_path / "hub", "unit"), scaled("unit").mean((1, 2)) @ weights)


def test_saved_model_that_cannot_be_called_is_an_error(tmp_path: Path) -> None:
    tf.saved_model.save(tf.Module(), str(tmp_path / "empty"))
    with pytest.raises(BackboneError, match="has no signature serving_default, and cannot be called"):
        own(tmp_path / "empty")


@pytest.mark.parametrize(
    "spec",
    [
        tf.TensorSpec((None, SIZE, SIZE, 3), tf.uint8),
        tf.TensorSpec(None, tf.float32),
        tf.TensorSpec((1, SIZE, SIZE, 3), tf.float32),
        tf.TensorSpec((None,), tf.string),
    ],
)
def test_saved_model_of_another_input_is_an_error(tmp_path: Path, spec: Any) -> None:
    with pytest.raises(BackboneError, match=r"\[None, size, size, 3\]"):
        own(export_function(tf.identity, tmp_path, spec))
