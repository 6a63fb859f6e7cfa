"""The user's `.keras` files."""

from pathlib import Path
from typing import Any

from tasks.backbone.backbones import Backbone
from tasks.backbone.kinds.base import InputFormat, TrainableKind
from tasks.backbone.request import BackboneRequest


class KerasFileKind(TrainableKind):
    """A `.keras` file."""

    name = "keras_file"

    def is_model(self, path: Path) -> bool:
        """Tell whether a user's path is a `.keras` file."""
        return path.is_file() and path.suffix == ".keras"

    def read_input(self, request: BackboneRequest, path: Path) -> InputFormat:
        """Read the input's size, and whether the first layers scale pixels."""
        from tasks.backbone.keras_files import read_input

        return read_input(path)

    def build_layers(self, backbone: Backbone, weights: Path, *, pretrained: bool) -> Any:
        """Build the Keras model without its classes."""
        from tasks.backbone.keras_files import build_keras

        return build_keras(backbone, weights, pretrained=pretrained)
