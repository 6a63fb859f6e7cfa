"""The files of an exported model, as other programs get them."""

import os
import shutil
from pathlib import Path

from tasks.export.formats import SAVED_MODEL
from tasks.shards.manifests import find_manifest
from tasks.storage.files import local
from tasks.storage.layout import DataRoot

_MANIFEST = "manifest.json"
#: Endings of the files that hold a whole network, so that no two models share them.
_WHOLE_NETWORKS = (".keras", ".tflite", ".bin", ".xml")


def is_exported(key: str, root: DataRoot) -> bool:
    """Whether a model has an export: it was asked for, is possible, and was not refused."""
    manifest = find_manifest(root.export(key) / _MANIFEST)
    return manifest is not None and SAVED_MODEL.name in manifest.details.get("files", ())


def is_shareable(name: str) -> bool:
    """Whether a further copy of an exported file costs hardly any disk, by its name."""
    return not name.endswith(_WHOLE_NETWORKS)


def write_export(key: str, root: DataRoot, folder: Path) -> bool:
    """Write the files of an exported model into an empty local folder, the SavedModel's at its top.

    Returns:
        Whether the model has an export; if not, the folder stays empty.
    """
    if not is_exported(key, root):
        return False
    exported = local(root.export(key))
    for path in sorted(exported.rglob("*")):
        name = path.relative_to(exported)
        if path.is_dir() or str(name) == _MANIFEST:
            continue
        place = folder / (name.relative_to(SAVED_MODEL.name) if name.parts[0] == SAVED_MODEL.name else name)
        place.parent.mkdir(parents=True, exist_ok=True)
        _link(path, place)
    return True


def _link(path: Path, place: Path) -> None:
    """Give a file a second name, or copy it where the disk has no such names."""
    try:
        os.link(path, place)
    except OSError:
        shutil.copyfile(path, place)
