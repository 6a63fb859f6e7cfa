"""Backbones of the catalog: their description, and the archive of a graph."""

from typing import cast

from tasks.backbone.backbones import Backbone, Prepared
from tasks.backbone.request import LAST, BackboneRequest
from tasks.catalog import BackboneEntry
from tasks.decode.settings import Crop, Resampling
from tasks.errors import BackboneError
from tasks.keys import KEY_LENGTH, file_sha256
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.storage.files import is_there, local, publish_folder


def describe_entry(
    request: BackboneRequest, entry: BackboneEntry, weights: AnyPath, size: int, layers: tuple[tuple[str, int], ...]
) -> Prepared:
    """Describe a backbone of the catalog.

    Args:
        request: The user's request.
        entry: The backbone's entry.
        weights: File of its weights.
        size: Height and width of its input in pixels.
        layers: Names and widths of the layers that make its bottleneck, the last layer first.
    """
    backbone = Backbone(
        name=entry.name,
        kind=entry.kind,
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
    return Prepared(backbone.last_layer if request.layers == LAST else backbone, weights)


def unpack_graph(file: AnyPath, entry: BackboneEntry, folder: AnyPath, progress: Progress) -> AnyPath:
    """Extract the graph from an archive, once.

    Args:
        file: The archive; a `.pb` file is returned as it is.
        entry: The backbone's entry.
        folder: Where extracted files are kept.
        progress: Told the archive's progress.

    Raises:
        BackboneError: The archive has no such member.
        DownloadError: It is damaged.
    """
    from tasks.download.archives import extract

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
