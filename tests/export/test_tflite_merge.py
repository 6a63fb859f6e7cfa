"""Merged TFLite models: the same numbers, and every weight stored once."""

import numpy as np
import numpy.typing as npt

from tasks.bottleneck.litert_forward import LiteRTForward, convert_to_tflite, quantise_network
from tasks.decode.settings import DecodeSettings
from tasks.export.tflite_merge import MergedModel, MergedPart
from tasks.runtime.tensorflow_import import tf

SIZE = 32
FILTERS = np.random.default_rng(0).normal(size=(3, 3, 3, 400)).astype(np.float32) / 100


def network(pixels: tf.Tensor) -> tf.Tensor:
    """A convolution, averaged over the picture: float32 [N, 400]."""
    return tf.reduce_mean(tf.nn.relu(tf.nn.conv2d(pixels / 255.0, FILTERS, 2, "VALID")), (1, 2))


def pictures() -> npt.NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (3, SIZE, SIZE, 3), dtype=np.uint8)


def test_part_that_is_called_twice_computes_its_own_numbers_and_is_stored_once() -> None:
    int8 = quantise_network(network, DecodeSettings(SIZE, SIZE), "small")
    part = MergedPart(int8)
    merged = MergedModel()
    pixels = [merged.add_input(part)]
    plain = tf.TensorSpec((1, SIZE, SIZE, 3), tf.uint8)
    mirrored = merged.call(MergedPart(convert_to_tflite(lambda photo: photo[:, :, ::-1], [plain])), pixels)
    vectors = [*merged.call(part, pixels), *merged.call(part, mirrored)]
    vector = tf.TensorSpec((1, 400), tf.float32)
    both = merged.call(MergedPart(convert_to_tflite(lambda *vectors: tf.concat(vectors, 1), [vector, vector])), vectors)
    joined = merged.finish(both)

    alone = LiteRTForward(int8, 1)
    expected = np.concatenate([alone(pictures()), alone(pictures()[:, :, ::-1])], axis=1)
    np.testing.assert_array_equal(LiteRTForward(joined, 1)(pictures()), expected)
    assert np.abs(expected).max() > 0
    assert len(joined) < len(int8) + FILTERS.size // 2
