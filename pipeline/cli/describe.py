"""Describes files and folders of the data root."""

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
from tasks.runs.stages import spec_of
from tasks.shards.manifests import SCHEMA_VERSION
from tasks.shards.schemas import DECODE
from tasks.storage.files import read_json, storage_at
from tasks.storage.removal import measure


@dataclass(frozen=True, eq=False)
class Description:
    """Content of a file or folder."""

    path: AnyPath  #: File or folder.
    what: str  #: Kind of content.
    stage: str  #: The stage that wrote it.
    key: str  #: Key of the stage.
    schema_version: int  #: Version of the columns or fields.
    bytes: int  #: Disk usage, of a folder with all its content.
    settings: Mapping[str, Any]  #: The settings behind the key.
    facts: Mapping[str, Any] = field(default_factory=dict)  #: All other fields, where it is no table.
    columns: tuple[tuple[str, str], ...] = ()  #: Names and types of the columns; empty where it is no table.
    rows: int | None = None  #: Number of rows; None where it is no table.
    shards: int | None = None  #: Number of files that have the rows.
    labels: Mapping[str, int] | None = None  #: Photos of each label; None where the labels are not known.
    snapshot: str | None = None  #: Key of the snapshot that has the labels; None where the table has them itself.
    unlabelled: int = 0  #: Photos that this snapshot does not name.
    sample: tuple[Mapping[str, Any], ...] = ()  #: The first rows, a value for each column.


def inspect_tables(path: AnyPath, rows: int, snapshot: str | None) -> Description:
    """Describe a Parquet file or a store.

    Args:
        path: The file, or the folder of the store.
        rows: Number of rows in the sample.
        snapshot: Key of the snapshot that has the labels; None is the newest one that names any of the photos.

    Raises:
        StoreError: A file is damaged or none of this project, or there is no such snapshot.
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
    """Describe a folder that a stage wrote, or a JSON file of the data root.

    Raises:
        StoreError: A file is damaged, or none of this project.
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
        what="a run's record" if record else spec_of(stage).result or f"what the stage {stage} keeps",
        stage=stage,
        key=values.pop("key", None) or (path.name if is_folder else path.stem),
        schema_version=values.pop("schema_version"),
        bytes=measure(path).bytes,
        settings=settings,
        facts=values,
    )


def _what(stage: str, schema: pa.Schema) -> str:
    if stage == "decode" and not schema.remove_metadata().equals(DECODE):
        return "photos that could not be decoded"
    if stage == "snapshot" and "label" not in schema.names:
        return "the known hashes of a dataset's files"
    return spec_of(stage).table or f"a table of the stage {stage}"


def _count_labels(path: AnyPath, tables: Tables, snapshot: str | None) -> tuple[dict[str, int] | None, str | None, int]:
    """Count the photos of each label; also the snapshot that has the labels, and how many photos it does not name."""
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
    """Shorten a value of a row: bytes to their length, long lists to their first numbers."""
    if isinstance(value, bytes):
        return f"<{len(value):,} bytes>"
    if isinstance(value, Mapping):
        return {name: shorten(part, numbers) for name, part in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        begins = ", ".join(f"{part:.4g}" if isinstance(part, float) else str(part) for part in value[:numbers])
        return f"[{begins}{f', ... {len(value):,} in all' if len(value) > numbers else ''}]"
    return value if isinstance(value, (int, float, str)) or value is None else str(value)
