"""The user's `.onnx` files."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tasks.backbone.backbones import Backbone, Prepared
from tasks.backbone.kinds.base import InputFormat, LayerNetwork, UserModelKind
from tasks.backbone.request import BackboneRequest
from tasks.errors import BackboneError, ModelError
from tasks.storage.files import local


class OnnxFileKind(UserModelKind):
    """A `.onnx` file, which OpenVINO computes on processors, and TensorFlow does not."""

    name = "onnx_file"
    in_tensorflow = False

    def is_model(self, path: Path) -> bool:
        return path.is_file() and path.suffix == ".onnx"

    def read_input(self, request: BackboneRequest, path: Path) -> InputFormat:
        from tasks.backbone.onnx_trial import try_input

        _check_installed()
        return try_input(path)

    def measure_width(self, prepared: Prepared) -> Prepared:
        from tasks.backbone.onnx_trial import try_widths

        backbone = prepared.backbone
        return replace(prepared, backbone=replace(backbone, widths=try_widths(backbone, local(prepared.weights))))

    def build_graph(self, backbone: Backbone, weights: Path) -> Any:
        _check_installed()
        from tasks.backbone.onnx_graph import build_graph

        return build_graph(backbone, weights)

    def load_layers(self, backbone: Backbone, weights: Path, *, bfloat16: bool) -> LayerNetwork:
        # Each export that needs TensorFlow traces this function, and is then left out for this reason.
        def refuse(pixels: Any) -> tuple[Any, ...]:  # noqa: ARG001 (named like the pixels of other kinds)
            raise ModelError(f"{backbone.name} is an ONNX file, which OpenVINO computes and TensorFlow does not.")

        return refuse


def _check_installed() -> None:
    if find_spec("onnx") is None:
        raise BackboneError("The package onnx, which reads ONNX files, is missing. Run: pip install -e '.[onnx]'")
