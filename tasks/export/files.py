"""The files of an exported model, as other programs get them."""

from pathlib import Path

from tasks.export.formats import CARD, LABELS, METRICS
from tasks.export.template import open_template
from tasks.predict.models import read_model
from tasks.progress import NullProgress, Progress
from tasks.shards.manifests import find_manifest
from tasks.storage.files import read_bytes
from tasks.storage.layout import DataRoot
from tasks.train.head import load_head
from tasks.train.settings import TrainSettings

#: Endings of the files that hold a whole network and a head, so that no two models share them.
_WHOLE_NETWORKS = (".keras", ".tflite", ".bin", ".xml")


def is_exported(key: str, root: DataRoot) -> bool:
    """Whether a model has an export: it was asked for, is possible, and was not refused."""
    manifest = find_manifest(root.export(key) / "manifest.json")
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
    model = read_model(root.train(key))
    head = load_head(model.folder) if isinstance(model.settings, TrainSettings) else None
    open_template(model, root, progress or NullProgress()).write_files(head, folder, linked=linked)
    for name in (CARD, LABELS, METRICS):
        (folder / name).write_bytes(read_bytes(root.export(key) / name))
    return True
