"""The labels of photos that a store keeps by their hash alone, as the snapshots beside it tell them."""

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
        root: Where the snapshots are.
        keys: sha256 of the photos, each once.
        snapshot: Key of the snapshot; None takes the newest one that names any of them.

    Returns:
        The snapshot's key, and the label of each photo that it names by its sha256; None where no snapshot names any.

    Raises:
        StoreError: There is no snapshot of that key, or it is damaged.
    """
    from tasks.snapshot.photos import read_snapshot, usable  # noqa: PLC0415 (not where the command line only starts)

    index = KeyIndex(keys)
    for key in [snapshot] if snapshot else _newest(root.snapshots("x").parent):
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
