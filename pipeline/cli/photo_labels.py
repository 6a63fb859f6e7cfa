"""Finds the labels of photos by their hash, in the snapshots of the data root."""

import pyarrow as pa

from tasks.paths import AnyPath
from tasks.shards.key_index import KeyIndex
from tasks.storage.files import is_folder, storage_at
from tasks.storage.layout import DataRoot


def data_root_of(path: AnyPath) -> DataRoot | None:
    """The data root that a file or folder lies in; None where it lies in none."""
    for folder in path.absolute().parents:
        if is_folder(folder / "snapshot"):
            return DataRoot(folder)
    return None


def read_labels(root: DataRoot, keys: pa.Array, snapshot: str | None) -> tuple[str, dict[str, str]] | None:
    """Find the labels of photos.

    Args:
        root: The data root.
        keys: sha256 of the photos, each once.
        snapshot: Key of the snapshot; None is the newest one that names any of the photos.

    Returns:
        The snapshot's key, and the label of each photo that it names, by sha256; None where no snapshot names any.

    Raises:
        StoreError: There is no snapshot of that key, or it is damaged.
    """
    from tasks.snapshot.photos import read_snapshot, usable

    index = KeyIndex(keys)
    for key in [snapshot] if snapshot else _newest(root.below("snapshot")):
        table = usable(read_snapshot(root, key))
        table = table.filter(pa.array(index.places(table["sha256"]) >= 0))
        if table.num_rows or snapshot:
            return key, dict(zip(table["sha256"].to_pylist(), table["label"].to_pylist(), strict=True))
    return None


def _newest(snapshots: AnyPath) -> list[str]:
    """Keys of all snapshots, the newest first."""
    there = storage_at(snapshots).survey(snapshots)
    tables = [path for path in there.entries(snapshots) if path.suffix == ".parquet"]
    return [path.stem for path in sorted(tables, key=there.modified, reverse=True)]
