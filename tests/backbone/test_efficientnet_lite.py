"""The port of EfficientNet-Lite: the published sizes, the arithmetic of a block, and predictions of real daisies."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from tasks.backbone.efficientnet_lite import _block, build, load_weights
from tasks.backbone.kinds.efficientnet_lite import BOTTLENECK_WIDTH, SCALES, LiteBlock, bottleneck_layers, scaled_width
from tasks.backbone.torch_weights import Tensor, read_torch_weights
from tasks.backbone.weights import packaged_weights
from tasks.catalog import find_backbone
from tasks.decode.images import decode_photo, read_pixels
from tasks.decode.settings import DecodeSettings
from tasks.errors import BackboneError
from tasks.runtime.tensorflow_import import keras

pytestmark = pytest.mark.slow

DAISY = 985  # ImageNet's class
#: Trainable parameters in millions, from the param_count column of
#: https://github.com/huggingface/pytorch-image-models/blob/main/results/results-imagenet.csv (tf_efficientnet_lite0-2).
PUBLISHED = {0: 4.65, 1: 5.42, 2: 6.09}

Array = npt.NDArray[np.float64]


class Loaded(NamedTuple):
    """A variant with its weights, and the file's tensors."""

    variant: int
    model: Any
    tensors: dict[str, Tensor]


def tensors_of(variant: int) -> dict[str, Tensor]:
    return read_torch_weights(packaged_weights(find_backbone(f"efficientnet_lite{variant}")))


@pytest.fixture(scope="module", params=SCALES)
def loaded(request: pytest.FixtureRequest) -> Loaded:
    tensors, model = tensors_of(request.param), build(request.param)
    load_weights(model, tensors)
    return Loaded(request.param, model, tensors)


def test_parameters_are_as_many_as_published(loaded: Loaded) -> None:
    trainable = sum(weight.shape.num_elements() for weight in loaded.model.trainable_weights)
    assert round(trainable / 1e6, 2) == PUBLISHED[loaded.variant]


def test_every_value_of_the_file_is_in_the_model(loaded: Loaded) -> None:
    of_file = sorted(float(np.sum(v, dtype=float)) for n, v in loaded.tensors.items() if "num_batches" not in n)
    of_model = sorted(float(np.sum(v, dtype=float)) for v in loaded.model.get_weights())
    np.testing.assert_allclose(of_model, of_file, rtol=1e-9, atol=1e-9)


def test_kernels_are_torch_s_with_rows_and_columns_in_place(loaded: Loaded) -> None:
    (stem,) = loaded.model.get_layer("stem_conv").get_weights()
    depthwise = loaded.model.get_layer("block2_depthwise_conv").get_weights()[0]
    torch_stem = loaded.tensors["_conv_stem.weight"]
    torch_depthwise = loaded.tensors["_blocks.2._depthwise_conv.weight"]
    for row, column in np.ndindex(3, 3):
        np.testing.assert_array_equal(stem[row, column], torch_stem[:, :, row, column].T)
        np.testing.assert_array_equal(depthwise[row, column, :, 0], torch_depthwise[:, 0, row, column])


def test_outputs_are_a_bottleneck_that_is_not_negative_and_the_scores_of_1000_classes(loaded: Loaded) -> None:
    pixels = np.random.default_rng(0).uniform(-1, 1, (2, 64, 64, 3)).astype(np.float32)
    bottleneck, scores = (np.asarray(output) for output in loaded.model(pixels, training=False))
    assert (bottleneck.shape, scores.shape) == ((2, 1280), (2, 1000))
    assert bottleneck.min() >= 0
    expected = bottleneck @ loaded.tensors["_fc.weight"].T + loaded.tensors["_fc.bias"]
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-4)


def test_layers_of_the_bottleneck_are_layers_of_the_network_and_as_wide_as_is_said(loaded: Loaded) -> None:
    layers = bottleneck_layers(loaded.variant)
    assert [loaded.model.get_layer(name).output.shape[-1] for name, _ in layers] == [width for _, width in layers]
    assert layers[0] == ("bottleneck", BOTTLENECK_WIDTH)


def test_layers_before_the_bottleneck_follow_the_last_halving_and_end_with_the_last_block(loaded: Loaded) -> None:
    pixels = keras.Input((64, 64, 3))
    maps = keras.Model(loaded.model.inputs, [layer.output for layer in loaded.model.layers])(pixels)
    sides = {
        layer.name: made.shape[1] for layer, made in zip(loaded.model.layers, maps, strict=True) if len(made.shape) == 4
    }
    depthwise = [name for name in sides if name.endswith("_depthwise_relu")]
    halved = [name for name in depthwise if sides[name] == 2]
    assert [name for name, _ in bottleneck_layers(loaded.variant)[1:]] == [*halved[:2], depthwise[-1]]


def test_weights_of_another_variant_are_refused_by_layer() -> None:
    with pytest.raises(
        BackboneError, match=r"do not fit efficientnet_lite0: layer \w+ \(_blocks\.\d+\..*another shape"
    ):
        load_weights(build(0, 64), tensors_of(1))


def test_missing_tensor_is_an_error_that_names_it() -> None:
    tensors = tensors_of(0)
    del tensors["_bn1.running_var"]
    with pytest.raises(BackboneError, match=r"layer head_norm \(.*_bn1\.running_var\) is missing"):
        load_weights(build(0, 64), tensors)


@pytest.mark.parametrize(
    ("width", "multiplier", "scaled"),
    [
        *[(16, 1.0, 16), (320, 1.0, 320), (16, 1.1, 16), (24, 1.1, 24), (40, 1.1, 48), (80, 1.1, 88), (112, 1.1, 120)],
        *[(192, 1.1, 208), (320, 1.1, 352), (4, 1.0, 8), (12, 1.0, 16), (18, 1.0, 24), (19, 1.0, 24), (27, 1.0, 32)],
    ],
)
def test_width_is_the_nearest_multiple_of_8_that_is_not_10_percent_too_small(
    width: int, multiplier: float, scaled: int
) -> None:
    assert scaled_width(width, multiplier) == scaled


def same(x: Array, kernel: int, stride: int) -> Array:
    """Pad as TensorFlow does: an odd row or column goes to the bottom or the right."""
    pads = [(0, 0)] * 3
    for axis in (0, 1):
        total = max((-(-x.shape[axis] // stride) - 1) * stride + kernel - x.shape[axis], 0)
        pads[axis] = (total // 2, total - total // 2)
    return np.pad(x, pads)


def depthwise(x: Array, kernel: Array, stride: int) -> Array:
    """Filter each channel of [H, W, C] by its kernel, [k, k, C], one output value at a time."""
    size = len(kernel)
    padded = same(x, size, stride)
    out = np.zeros((-(-x.shape[0] // stride), -(-x.shape[1] // stride), x.shape[2]))
    for row, column, channel in np.ndindex(out.shape):
        top, left = row * stride, column * stride
        out[row, column, channel] = (padded[top : top + size, left : left + size, channel] * kernel[..., channel]).sum()
    return out


def normalise(x: Array, norm: Sequence[Array]) -> Array:
    gamma, beta, mean, variance = norm
    return (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta


@pytest.mark.parametrize(
    ("height", "width", "stage"),
    [
        (7, 6, LiteBlock(repeats=1, kernel=3, stride=1, expand=6, width=8)),
        (6, 8, LiteBlock(repeats=1, kernel=5, stride=2, expand=6, width=16)),
        (7, 9, LiteBlock(repeats=1, kernel=3, stride=2, expand=6, width=8)),
        (5, 4, LiteBlock(repeats=1, kernel=3, stride=1, expand=1, width=16)),
    ],
)
def test_block_is_the_naive_inverted_residual(height: int, width: int, stage: LiteBlock) -> None:
    random = np.random.default_rng(3)
    inputs = keras.Input((height, width, 8))
    model = keras.Model(inputs, _block(inputs, "block0", stage))
    weights = [random.uniform(0.2, 1.5, weight.shape) for weight in model.weights]
    model.set_weights(weights)
    x = random.normal(0, 1, (height, width, 8))
    y, rest = x, list(weights)
    if stage.expand != 1:
        y = np.clip(normalise(y @ rest[0][0, 0], rest[1:5]), 0, 6)
        rest = rest[5:]
    y = np.clip(normalise(depthwise(y, rest[0][..., 0], stage.stride), rest[1:5]), 0, 6)
    y = normalise(y @ rest[5][0, 0], rest[6:10])
    expected = y + x if stage.stride == 1 and stage.width == 8 else y
    got = np.asarray(model(x[None].astype(np.float32), training=False))[0]
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def test_daisies_are_imagenet_s_daisies(flower_photos: Path) -> None:
    model = build(0, 288)
    load_weights(model, tensors_of(0))
    settings = DecodeSettings(size=288, resize=288, encoding="png")
    photos = sorted((flower_photos / "daisy").iterdir())[:20]
    pixels = np.stack([read_pixels(decode_photo(photo.read_bytes(), settings).image) for photo in photos])
    _, scores = model((pixels.astype(np.float32) - 127) / 128, training=False)
    assert (np.asarray(scores).argmax(axis=1) == DAISY).mean() >= 0.75
