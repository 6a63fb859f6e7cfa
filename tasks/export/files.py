"""Writes the files of an export."""

from pathlib import Path

from tasks.export.formats import CARD, LABELS, METRICS, explain_lacking
from tasks.export.template import open_template
from tasks.predict.models import read_model
from tasks.progress import Progress
from tasks.shards.manifests import find_manifest
from tasks.storage.files import local
from tasks.storage.layout import DataRoot
from tasks.train.head import load_head
from tasks.train.settings import TrainSettings


def write_export(key: str, root: DataRoot, folder: Path, progress: Progress) -> bool:
    """Write the files of an exported model into an empty local folder.

    Returns:
        Whether there are any: False if the model was not exported, or its export was refused.

    Raises:
        ModelError: The model is gone.
        BackboneError: The backbone's weights are needed, and are missing or have changed.
        StoreError: The model or its template is damaged.
    """
    path = root.export(key)
    manifest = find_manifest(path / "manifest.json")
    if manifest is None or manifest.details.get("refused") or explain_lacking(manifest.details):
        return False
    model = read_model(root.train(key))
    head = load_head(model.folder) if isinstance(model.settings, TrainSettings) else None
    open_template(model, root, progress).write_files(head, folder)
    for name in (CARD, LABELS, METRICS):
        (folder / name).write_bytes(local(path / name).read_bytes())
    return True
