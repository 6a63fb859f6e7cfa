"""Live predictions: those of kept models, and the file hashes of the folders that these are of."""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from tasks.paths import AnyPath, is_remote_text
from tasks.shards.manifests import find_manifest
from tasks.shards.parquet import open_parquet
from tasks.storage.files import read_each
from tasks.storage.survey import Survey


def live_predictions(folders: Sequence[AnyPath], models: Collection[str], there: Survey) -> set[AnyPath]:
    """Find the folders of the predict stage that stay, for the models that stay.

    Each holds a model's predictions of a folder of photos or of any photos, or hashes of photos. Predictions that
    cannot be read belong to no model.
    """
    files = [[path for path in there.entries(folder) if path.suffix in (".json", ".parquet")] for folder in folders]
    read = read_each(_settings, files, folders[0]) if folders else ()
    settings = dict(zip(folders, read, strict=True))
    # Hashes are of a folder of photos, whichever model predicts them.
    predicted = {about["folder"] for about in settings.values() if about.get("model") in models and "folder" in about}
    return {
        folder
        for folder, about in settings.items()
        if (about.get("model") in models if "model" in about else about.get("folder") in predicted)
    }


def _settings(files: Sequence[AnyPath]) -> Mapping[str, Any]:
    """The model and the folder of photos that the files of a prediction name; empty where they name none."""
    for path in files:
        manifest = find_manifest(path) if path.name == "manifest.json" else None
        if manifest is not None:
            return {**manifest.settings, "folder": _plain(manifest.settings.get("folder", ""))}
    for path in files:
        if path.suffix != ".parquet":
            continue
        try:
            with open_parquet(path) as file:
                metadata = file.schema_arrow.metadata or {}
            settings: dict[str, Any] = json.loads(metadata[b"settings"])
        except (pa.ArrowException, OSError, KeyError, ValueError):
            continue
        # Predictions without a manifest were never finished.
        return {} if path.name == "predictions.parquet" else settings
    return {}


def _plain(folder: str) -> str:
    """A folder's path in the spelling of `tasks.predict`."""
    return folder.rstrip("/") if is_remote_text(folder) else str(Path(folder))
