"""What a file or folder of the data root holds, said so that a person or a script can read it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.cli.parquet_files import Tables, open_tables
from pipeline.cli.photo_labels import data_root_of, read_labels
from tasks.errors import StoreError
from tasks.paths import AnyPath
from tasks.shards.schemas import DECODE, SCHEMA_VERSION
from tasks.storage.files import read_json, storage_at
from tasks.storage.removal import measure

_WHAT = {
    "snapshot": "a snapshot, one row a photo",
    "decode": "decoded photos",
    "rejected": "photos that could not be decoded",
    "bottleneck": "bottlenecks, one row a photo and view",
    "train": "the curve of a training, one row a checkpoint",
    "evaluate": "predictions, one row a photo",
    "compare": "a comparison, one row a cell",
}
_KEPT = {
    "train": "a trained head or network",
    "evaluate": "an evaluation",
    "export": "an exported model",
    "champion": "a decision on the champion, or who is champion",
    "report": "a report",
}


@dataclass(frozen=True, eq=False)
class Description:
    """What a file or folder holds.

    Args:
        path: It.
        what: In a few words.
        stage: The stage that wrote it.
        key: Its key.
        schema_version: Version of its columns or fields.
        bytes: Size on the disk, of a folder with all that is in it.
        settings: The settings behind the key.
        facts: What else it says, where it is no table.
        columns: Names and types of its columns; empty where it is no table.
        rows: How many rows it has; None where it is no table.
        shards: How many files its rows are in.
        labels: Photos of each label; None where nothing tells their labels.
        snapshot: Key of the snapshot that tells the labels; None where it has them itself.
        unlabelled: Photos that this snapshot does not name.
        sample: The first rows, a value for each column.
    """

    path: AnyPath
    what: str
    stage: str
    key: str
    schema_version: int
    bytes: int
    settings: Mapping[str, Any]
    facts: Mapping[str, Any] = field(default_factory=dict)
    columns: tuple[tuple[str, str], ...] = ()
    rows: int | None = None
    shards: int | None = None
    labels: Mapping[str, int] | None = None
    snapshot: str | None = None
    unlabelled: int = 0
    sample: tuple[Mapping[str, Any], ...] = ()


def inspect_tables(path: AnyPath, rows: int, snapshot: str | None) -> Description:
    """Look into a Parquet file or a store.

    Args:
        path: It.
        rows: How many rows to take along.
        snapshot: Key of the snapshot that tells labels; None takes the newest one that names its photos.

    Raises:
        StoreError: It is damaged, none of this project, or there is no such snapshot.
    """
    tables = open_tables(path)
    metadata = {name.decode(): value.decode() for name, value in tables.schema.metadata.items()}
    labels, source, unlabelled = _count_labels(path, tables, snapshot)
    folder = tables.files[0].parent
    there = storage_at(folder).survey(folder)
    return Description(
        path=path,
        what=_what(metadata["stage"], tables.schema),
        stage=metadata["stage"],
        key=metadata["key"],
        schema_version=int(metadata["schema_version"]),
        bytes=sum(there.measure(file).bytes for file in tables.files),
        settings=json.loads(metadata["settings"]),
        columns=tuple((column.name, str(column.type)) for column in tables.schema),
        rows=tables.count(),
        shards=len(tables.files),
        labels=labels,
        snapshot=source,
        unlabelled=unlabelled,
        sample=tuple(tables.first(rows).to_pylist()),
    )


def inspect_folder(path: AnyPath) -> Description:
    """Look into a folder that a stage wrote, or a JSON file of the data root.

    Raises:
        StoreError: It is damaged, or none of this project.
    """
    is_folder = path.is_dir()
    told = (path / "manifest.json", path / "training.json") if is_folder else (path,)
    file = next((file for file in told if file.suffix == ".json" and file.is_file()), None)
    if file is None:
        raise StoreError(
            f"{path} is nothing that this project wrote. Give a Parquet file, a store, the folder of a head or of an "
            "evaluation, or a run's record."
        )
    values = read_json(file)
    if not isinstance(values, dict) or values.get("schema_version") != SCHEMA_VERSION:
        raise StoreError(
            f"{file} was not written by this version of the project: it has no schema version that it knows."
        )
    record = "stages" in values and "parameters" in values
    settings = values.pop("parameters" if record else "settings", {})
    stage = "record" if record else values.pop("stage", path.parent.name)
    return Description(
        path=path,
        what="a run's record" if record else _KEPT.get(stage, f"what the stage {stage} keeps"),
        stage=stage,
        key=values.pop("key", None) or (path.name if is_folder else path.stem),
        schema_version=values.pop("schema_version"),
        bytes=measure(path).bytes,
        settings=settings,
        facts=values,
    )


def _what(stage: str, schema: pa.Schema) -> str:
    if stage == "decode" and not schema.remove_metadata().equals(DECODE):
        return _WHAT["rejected"]
    if stage == "snapshot" and "label" not in schema.names:
        return "the known hashes of a dataset's files"
    return _WHAT.get(stage, f"a table of the stage {stage}")


def _count_labels(path: AnyPath, tables: Tables, snapshot: str | None) -> tuple[dict[str, int] | None, str | None, int]:
    """Photos of each label, the snapshot that tells them, and how many it does not name."""
    if "label" in tables.schema.names:
        return _counts(tables.column("label")), None, 0
    root = data_root_of(path)
    if "sha256" not in tables.schema.names or root is None:
        return None, None, 0
    keys = pc.unique(tables.column("sha256"))
    found = read_labels(root, keys, snapshot)
    if found is None:
        return None, None, len(keys)
    source, labels = found
    return _counts(pa.chunked_array([pa.array(labels.values(), pa.string())])), source, len(keys) - len(labels)


def _counts(labels: pa.ChunkedArray) -> dict[str, int]:
    counts = {item["values"]: item["counts"] for item in pc.value_counts(labels).to_pylist()}
    return dict(sorted(counts.items()))


def shorten(value: object, numbers: int = 4) -> object:
    """Say a value of a row in a few words: bytes by their length, long lists by how they begin."""
    if isinstance(value, bytes):
        return f"<{len(value):,} bytes>"
    if isinstance(value, Mapping):
        return {name: shorten(part, numbers) for name, part in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        begins = ", ".join(f"{part:.4g}" if isinstance(part, float) else str(part) for part in value[:numbers])
        return f"[{begins}{f', ... {len(value):,} in all' if len(value) > numbers else ''}]"
    return value if isinstance(value, (int, float, str)) or value is None else str(value)
