"""The files of an exported model, as other programs get them."""

from pathlib import Path
from typing import TYPE_CHECKING

from tasks.export.formats import CARD, LABELS, METRICS
from tasks.progress import NullProgress, Progress
from tasks.shards.manifests import find_manifest, read_manifest
from tasks.storage.files import is_there, read_bytes
from tasks.storage.layout import DataRoot

if TYPE_CHECKING:
    from tasks.export.template import Template

_MANIFEST = "manifest.json"
#: Endings of the files that hold a whole network and a head, so that no two models share them.
_WHOLE_NETWORKS = (".keras", ".tflite", ".bin")


def is_exported(key: str, root: DataRoot) -> bool:
    """Whether a model has an export: it was asked for, is possible, and was not refused."""
    manifest = find_manifest(root.export(key) / _MANIFEST)
    return manifest is not None and bool(manifest.details["test"]) and not manifest.details.get("refused")


def is_shareable(name: str) -> bool:
    """Whether a further copy of an exported file costs hardly any disk, by its name."""
    return not name.endswith(_WHOLE_NETWORKS)


def write_export(
    key: str, root: DataRoot, folder: Path, progress: Progress | None = None, *, linked: bool = False
) -> bool:
    """Write the files of an exported model into an empty local folder, the SavedModel's at its top.

    Args:
        key: The model.
        root: The data root.
        folder: The folder.
        progress: Told about the files if a part of them has to be made again.
        linked: See `Template.write_files`.

    Returns:
        Whether the model has an export; if not, the folder stays empty.

    Raises:
        ModelError: The model is gone.
        BackboneError: The backbone's weights are needed, and are missing or have changed.
        StoreError: The model or its template is damaged.
    """
    if not is_exported(key, root):
        return False
    template = _open_template(key, root, progress or NullProgress())
    template.write_files(template.load_head(root.train(key)), folder, linked=linked)
    for name in (CARD, LABELS, METRICS):
        (folder / name).write_bytes(read_bytes(root.export(key) / name))
    return True


def _open_template(key: str, root: DataRoot, progress: Progress) -> "Template":
    from tasks.export.template import open_template, read_template
    from tasks.predict.models import read_model

    place = read_manifest(root.export(key) / _MANIFEST).details.get("template")
    if place and is_there(path := root.below(*place.split("/"))):
        return read_template(path)
    # It was removed, or an earlier version of this project exported the model.
    return open_template(read_model(root.train(key)), root, progress)
