"""Which predictions go: those of models that go, and what is known of folders that no kept prediction is of."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from tasks.paths import AnyPath, is_remote_text
from tasks.runs.retention.references import readable_manifest
from tasks.shards.parquet import open_parquet
from tasks.storage.files import read_each
from tasks.storage.survey import Survey


def unkept_predictions(folders: Sequence[AnyPath], models: Collection[str], there: Survey) -> Iterator[AnyPath]:
    """Find the folders of the predict stage that nobody needs.

    Args:
        folders: Each holds what a model said of a folder of photos, what it said of any photo, or hashes of photos.
        models: The models that stay. What cannot be read belongs to none.
        there: What there is.
    """
    files = [[path for path in there.entries(folder) if path.suffix in (".json", ".parquet")] for folder in folders]
    read = read_each(_settings, files, folders[0]) if folders else ()
    settings = dict(zip(folders, read, strict=True))
    # The hashes are of a folder, whichever model is asked of it.
    asked = {about.get("folder") for about in settings.values() if about.get("model") in models}
    for folder, about in settings.items():
        needed = about.get("model") in models if "model" in about else about.get("folder") in asked
        if not needed or not about:
            yield folder


def _settings(files: Sequence[AnyPath]) -> Mapping[str, Any]:
    """The model that the predictions in a folder of files are of, and the photos' folder; as far as they say."""
    for path in files:
        manifest = readable_manifest(path) if path.name == "manifest.json" else None
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
    """A folder's path as `tasks.predict` has it in what it knows of the folder."""
    return folder.rstrip("/") if is_remote_text(folder) else str(Path(folder))
