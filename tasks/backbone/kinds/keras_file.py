"""The user's `.keras` files."""

from pathlib import Path
from typing import Any

from tasks.backbone.backbones import Backbone
from tasks.backbone.kinds.base import InputFormat, TrainableKind, UserModelKind
from tasks.backbone.request import BackboneRequest


class KerasFileKind(UserModelKind, TrainableKind):
    """A `.keras` file."""

    name = "keras_file"

    def is_model(self, path: Path) -> bool:
        return path.is_file() and path.suffix == ".keras"

    def read_input(self, request: BackboneRequest, path: Path) -> InputFormat:
        from tasks.backbone.keras_files import read_input

        return read_input(path)

    def build_layers(self, backbone: Backbone, weights: Path, *, pretrained: bool) -> Any:
        from tasks.backbone.keras_files import build_keras

        return build_keras(backbone, weights, pretrained=pretrained)
