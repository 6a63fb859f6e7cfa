"""Frozen graphs: the one of 2015 in the catalog, and the user's own."""

from pathlib import Path

from tasks.backbone.backbones import Backbone, Prepared
from tasks.backbone.catalog_models import describe_entry, unpack_graph
from tasks.backbone.kinds.base import BackboneKind, InputFormat, LayerNetwork
from tasks.backbone.request import BackboneRequest
from tasks.backbone.scaling import SCALINGS
from tasks.backbone.weights import given_weights
from tasks.catalog import find_backbone
from tasks.errors import SettingError
from tasks.paths import AnyPath
from tasks.progress import Progress


class FrozenGraphKind(BackboneKind):
    """A `.pb` file of TensorFlow 1."""

    name = "frozen_graph"
    has_tensors = True

    def prepare(self, request: BackboneRequest, folder: AnyPath, progress: Progress) -> Prepared:
        """Fetch and extract a graph of the catalog, and run it to measure its layers."""
        from tasks.backbone.load import measure_width

        entry = find_backbone(request.backbone)
        if request.size not in {0, entry.size}:
            raise SettingError(
                f"--image-size is {request.size}, {entry.name} takes {entry.size} pixels only. Leave it out."
            )
        file = given_weights(request.weights or entry.url, folder, progress)
        graph = unpack_graph(file, entry, folder, progress)
        tensors = tuple((name.strip(), 0) for name in entry.bottleneck_tensor.split(","))
        return measure_width(describe_entry(request, entry, graph, entry.size, tensors))

    def is_model(self, path: Path) -> bool:
        """Tell whether a user's path is a `.pb` file."""
        return path.is_file() and path.suffix == ".pb"

    def read_input(self, request: BackboneRequest, path: Path) -> InputFormat:
        """Read the input's size where the graph says it."""
        from tasks.backbone.frozen_graph import check_tensors_named, input_size

        check_tensors_named(path, request.input_tensor, request.bottleneck_tensor)
        return InputFormat(input_size(path, request.input_tensor))

    def load_layers(self, backbone: Backbone, weights: Path, *, bfloat16: bool) -> LayerNetwork:
        """Load the graph as it is; it computes in float32."""
        from tasks.backbone.frozen_graph import frozen_network

        network = frozen_network(weights, backbone.input_tensor, *backbone.layers)
        return lambda pixels: network(SCALINGS[backbone.scaling].apply(pixels))
