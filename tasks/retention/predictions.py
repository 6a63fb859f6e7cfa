"""Which predictions go: those of models that go, and what is known of folders that no kept prediction is of."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.retention.references import readable_manifest


def unkept_predictions(folders: Sequence[Path], models: Collection[str]) -> Iterator[Path]:
    """Find the folders of the predict stage that nobody needs.

    Args:
        folders: Each holds what a model said of a folder of photos, what it said of any photo, or hashes of photos.
        models: The models that stay. What cannot be read belongs to none.
    """
    settings = {folder: _settings(folder) for folder in folders}
    # The hashes are of a folder, whichever model is asked of it.
    asked = {about.get("folder") for about in settings.values() if about.get("model") in models}
    for folder, about in settings.items():
        needed = about.get("model") in models if "model" in about else about.get("folder") in asked
        if not needed or not about:
            yield folder


def _settings(folder: Path) -> Mapping[str, Any]:
    """The model that the predictions in a folder are of, and the photos' folder; as far as it says."""
    manifest = readable_manifest(folder / "manifest.json")
    if manifest is not None:
        return {**manifest.settings, "folder": str(Path(manifest.settings.get("folder", "")))}
    for path in sorted(folder.glob("*.parquet")):
        try:
            metadata = pq.read_schema(path).metadata or {}
            settings: dict[str, Any] = json.loads(metadata[b"settings"])
        except (pa.ArrowException, OSError, KeyError, ValueError):
            continue
        # Predictions without a manifest were never finished.
        return {} if path.name == "predictions.parquet" else settings
    return {}
