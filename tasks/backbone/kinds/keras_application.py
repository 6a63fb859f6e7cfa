"""The models of keras.applications, with ImageNet weights that Keras fetches."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from tasks.backbone.backbones import Backbone, Prepared
from tasks.backbone.kinds.base import TrainableKind
from tasks.backbone.request import KERAS_PREFIX, BackboneRequest
from tasks.catalog import find_backbone
from tasks.paths import AnyPath
from tasks.progress import Progress


class KerasApplicationKind(TrainableKind):
    """A model of keras.applications."""

    name = "keras_application"
    prefix = KERAS_PREFIX
    bfloat16_on_gpu = True

    def prepare(self, request: BackboneRequest, folder: AnyPath, progress: Progress) -> Prepared:
        from tasks.backbone.keras_applications import prepare

        if request.backbone.startswith(KERAS_PREFIX):
            return prepare(request, folder, progress)
        entry = find_backbone(request.backbone)
        own = replace(request, backbone=KERAS_PREFIX + entry.model, size=request.size or entry.size)
        prepared = prepare(own, folder, progress)
        return replace(prepared, backbone=replace(prepared.backbone, name=entry.name))

    def build_layers(self, backbone: Backbone, weights: Path, *, pretrained: bool) -> Any:
        from tasks.backbone.keras_applications import build

        return build(backbone, weights if pretrained else None)
