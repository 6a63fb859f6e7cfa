"""The models of keras.applications, with ImageNet weights that Keras fetches."""

from pathlib import Path
from typing import Any

from tasks.backbone.backbones import Backbone, Prepared
from tasks.backbone.kinds.base import TrainableKind
from tasks.backbone.request import KERAS_PREFIX, BackboneRequest
from tasks.paths import AnyPath
from tasks.progress import Progress


class KerasApplicationKind(TrainableKind):
    """A model of keras.applications."""

    name = "keras_application"
    prefix = KERAS_PREFIX
    bfloat16_on_gpu = True

    def prepare(self, request: BackboneRequest, folder: AnyPath, progress: Progress) -> Prepared:
        from tasks.backbone.keras_applications import prepare

        return prepare(request, folder, progress)

    def build_layers(self, backbone: Backbone, weights: Path, *, pretrained: bool) -> Any:
        from tasks.backbone.keras_applications import build

        return build(backbone, weights if pretrained else None)
