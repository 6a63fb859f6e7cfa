"""Small backbones of KerasHub with random weights, and their presets as KerasHub saves them."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.backbone.hub_networks import keras_hub
from tasks.runtime.tensorflow_import import keras

SIZE = 16
#: Eight pictures, uint8 [8, 16, 16, 3].
PIXELS = np.random.default_rng(5).integers(0, 256, (8, 4, 4, 3), dtype=np.uint8).repeat(4, axis=1).repeat(4, axis=2)
#: ImageNet's mean and deviation as a preset of KerasHub has them: a factor and a shift of pixels from 0 to 255.
SCALE = [1 / 255 / each for each in (0.229, 0.224, 0.225)]
OFFSET = [-mean / each for mean, each in zip((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True)]

_PHOTOS = (SIZE, SIZE, 3)
_TRANSFORMER = {"patch_size": 4, "num_layers": 2, "hidden_dim": 16, "num_heads": 2}
_TEXT = {"vocabulary_size": 64, "embedding_dim": 16, "hidden_dim": 16, "num_layers": 1, "num_heads": 2}


def _of(name: str, **settings: Any) -> Callable[[], Any]:
    return lambda: getattr(keras_hub().models, name)(**settings)


def _pair(name: str, **settings: Any) -> Callable[[], Any]:
    """A class with an encoder of photos and one of texts."""

    def make() -> Any:
        models = keras_hub().models
        photos = getattr(models, f"{name}VisionEncoder")(**_TRANSFORMER, intermediate_dim=32, image_shape=_PHOTOS)
        texts = getattr(models, f"{name}TextEncoder")(**_TEXT, intermediate_dim=32)
        return getattr(models, f"{name}Backbone")(vision_encoder=photos, text_encoder=texts, **settings)

    return make


_DINO = {**_TRANSFORMER, "intermediate_dim": 32, "image_shape": _PHOTOS, "num_register_tokens": 3}
#: By the name of a class, what builds a small one.
MODELS: Mapping[str, Callable[[], Any]] = {
    "CLIPBackbone": _pair("CLIP", projection_dim=8),
    "DINOV2Backbone": _of("DINOV2Backbone", **_DINO, position_embedding_shape=(24, 24, 3)),
    "DINOV3Backbone": _of("DINOV3Backbone", **_DINO),
    "DeiTBackbone": _of("DeiTBackbone", **_TRANSFORMER, intermediate_dim=32, image_shape=_PHOTOS),
    "DenseNetBackbone": _of("DenseNetBackbone", stackwise_num_repeats=[2, 2], compression_ratio=0.5, growth_rate=8),
    "EfficientNetBackbone": _of(
        "EfficientNetBackbone",
        width_coefficient=1.0,
        depth_coefficient=1.0,
        stackwise_kernel_sizes=[3, 3],
        stackwise_num_repeats=[1, 2],
        stackwise_input_filters=[8, 8],
        stackwise_output_filters=[8, 16],
        stackwise_expansion_ratios=[1, 4],
        stackwise_squeeze_and_excite_ratios=[0.25, 0.25],
        stackwise_strides=[1, 2],
        stackwise_block_types=["v1", "v1"],
    ),
    "MobileNetBackbone": _of(
        "MobileNetBackbone",
        stackwise_expansion=[[16], [24, 24]],
        stackwise_num_blocks=[1, 2],
        stackwise_num_filters=[[8], [16, 16]],
        stackwise_kernel_size=[[3], [3, 3]],
        stackwise_num_strides=[[1], [2, 1]],
        stackwise_padding=[[1], [1, 1]],
        depthwise_stride=2,
        depthwise_residual=False,
        last_layer_filter=32,
        stackwise_se_ratio=[[None], [0.25, 0.25]],
        stackwise_activation=[["relu"], ["hard_swish", "hard_swish"]],
        output_num_filters=32,
        input_activation="hard_swish",
        output_activation="hard_swish",
        input_num_filters=8,
        depthwise_filters=8,
        squeeze_and_excite=0.5,
        image_shape=(None, None, 3),
    ),
    "ResNetBackbone": _of(
        "ResNetBackbone",
        input_conv_filters=[8],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 64],
        stackwise_num_blocks=[1, 2],
        stackwise_num_strides=[1, 2],
        block_type="bottleneck_block",
    ),
    "SigLIPBackbone": _pair("SigLIP"),
    "VGGBackbone": _of("VGGBackbone", stackwise_num_repeats=[1, 1], stackwise_num_filters=[8, 16]),
    "ViTBackbone": _of("ViTBackbone", **_TRANSFORMER, mlp_dim=32, image_shape=_PHOTOS),
    "XceptionBackbone": _of(
        "XceptionBackbone",
        stackwise_conv_filters=[[8, 8], [16, 16], [16, 16]],
        stackwise_pooling=[True, True, False],
    ),
}


@cache
def model(name: str) -> Any:
    """Build a small backbone; its batch norms have the statistics of pictures, its other weights are random."""
    keras.utils.set_random_seed(7)
    built = MODELS[name]()
    for weight in built.weights:
        # Biases, tokens and norms too, of which many begin as zeros and ones.
        if not any(part in weight.path for part in ("variance", "seed", "interpolated")):
            weight.assign_add(np.random.default_rng(3).normal(0, 0.05, weight.shape).astype(np.float32))
    return built


def save_preset(
    name: str, folder: Path, *, scale: Any = SCALE, offset: Any = OFFSET, sharded: bool = False, **options: Any
) -> Path:
    """Save the preset of a small backbone with its image converter, as KerasHub does; without one if scale is None."""
    model(name).save_to_preset(str(folder), max_shard_size=1e-5 if sharded else 10)
    if scale is not None:
        converter = keras_hub().layers.ImageConverter(
            image_size=(SIZE, SIZE), scale=scale, offset=offset, dtype="float32", **options
        )
        converter.save_to_preset(str(folder))
    return folder


def own_outputs(name: str, folder: Path, pixels: npt.NDArray[np.uint8], **settings: Any) -> list[Any]:
    """Compute the outputs of a preset as KerasHub itself loads it, on pixels that its own converter scales.

    Returns:
        The tokens, [N, T, D], or the feature map, [N, H, W, D]; SigLIP's pooled output, [N, D], and then its tokens.
    """
    built = keras_hub().models.Backbone.from_preset(str(folder), **settings)
    scaled = keras_hub().layers.ImageConverter(scale=SCALE, offset=OFFSET, dtype="float32")(pixels)
    vision = getattr(built, "vision_encoder", built)
    outputs = [vision.output]
    if name == "SigLIPBackbone":
        outputs.append(vision.post_layer_norm.output)
    (photos,) = keras.tree.flatten(vision.input)
    return [np.asarray(keras.Model(photos, output)(scaled, training=False)) for output in outputs]
