"""Frozen graphs: the one of 2015 in the catalog, and the user's own."""

from pathlib import Path

from tasks.backbone.backbones import Backbone, Prepared
from tasks.backbone.kinds.base import InputFormat, LayerNetwork, UserModelKind, describe_entry
from tasks.backbone.request import BackboneRequest
from tasks.backbone.weights import given_weights
from tasks.catalog import BackboneEntry, find_backbone
from tasks.errors import BackboneError, SettingError
from tasks.keys import KEY_LENGTH, file_sha256
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.storage.files import is_there, local, publish_folder


class FrozenGraphKind(UserModelKind):
    """A `.pb` file of TensorFlow 1."""

    name = "frozen_graph"
    has_tensors = True

    def prepare(self, request: BackboneRequest, folder: AnyPath, progress: Progress) -> Prepared:
        from tasks.backbone.load import measure_width

        entry = find_backbone(request.backbone)
        if request.size not in {0, entry.size}:
            raise SettingError(
                f"--image-size is {request.size}, {entry.name} takes {entry.size} pixels only. Leave it out."
            )
        file = given_weights(request.weights or entry.url, folder, progress)
        graph = file if file.suffix == ".pb" else _unpacked(file, entry, folder, progress)
        tensors = tuple((name.strip(), 0) for name in entry.bottleneck_tensor.split(","))
        return measure_width(describe_entry(request, entry, graph, tensors))

    def is_model(self, path: Path) -> bool:
        return path.is_file() and path.suffix == ".pb"

    def read_input(self, request: BackboneRequest, path: Path) -> InputFormat:
        from tasks.backbone.frozen_graph import check_tensors_named, input_size

        check_tensors_named(path, request.input_tensor, request.bottleneck_tensor)
        return InputFormat(input_size(path, request.input_tensor))

    def load_layers(self, backbone: Backbone, weights: Path, *, bfloat16: bool) -> LayerNetwork:
        from tasks.backbone.frozen_graph import frozen_network
        from tasks.backbone.scaling import SCALINGS

        network = frozen_network(weights, backbone.input_tensor, *backbone.layers)
        return lambda pixels: network(SCALINGS[backbone.scaling].apply(pixels))


def _unpacked(file: AnyPath, entry: BackboneEntry, folder: AnyPath, progress: Progress) -> AnyPath:
    from tasks.download.archives import extract

    archive = local(file)
    unpacked = folder / file_sha256(archive)[:KEY_LENGTH]
    if not is_there(unpacked):
        with publish_folder(unpacked, progress) as temporary:
            extract(archive, temporary, progress)
    graph = unpacked / entry.file
    if not graph.is_file():
        raise BackboneError(
            f"{file} holds no {entry.file}, so it is not the archive of {entry.name}. Give --weights the right one, as "
            f"{entry.url} has it."
        )
    return graph
