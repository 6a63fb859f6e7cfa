"""The user's SavedModels."""

from pathlib import Path

from tasks.backbone.backbones import Backbone
from tasks.backbone.kinds.base import InputFormat, LayerNetwork, UserModelKind
from tasks.backbone.request import BackboneRequest


class SavedModelKind(UserModelKind):
    """The folder of a SavedModel of TensorFlow 2."""

    name = "saved_model"

    def is_model(self, path: Path) -> bool:
        return (path / "saved_model.pb").is_file()

    def read_input(self, request: BackboneRequest, path: Path) -> InputFormat:
        from tasks.backbone.saved_models import saved_size

        return InputFormat(saved_size(path))

    def load_layers(self, backbone: Backbone, weights: Path, *, bfloat16: bool) -> LayerNetwork:
        from tasks.backbone.saved_models import saved_network

        return saved_network(backbone, weights)
