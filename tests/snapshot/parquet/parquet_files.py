"""Parquet files of images as Hugging Face's datasets writes them; most images hold no picture."""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

IMAGE = pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])
NAMES = ("roses", "tulips")


def hugging_face(**features: Mapping[str, Any]) -> dict[str, str]:
    """The metadata of a schema that describe columns."""
    return {"huggingface": json.dumps({"info": {"features": features}})}


HF_METADATA = hugging_face(image={"_type": "Image"}, label={"names": list(NAMES), "_type": "ClassLabel"})


def flowers(numbers: range) -> pa.Table:
    """A table of images with class numbers, each image with content of its own."""
    images = [{"bytes": f"flower {number}".encode(), "path": f"{number}.jpg"} for number in numbers]
    labels = [number % len(NAMES) for number in numbers]
    return image_table(images, label=labels)


def image_table(images: Sequence[Mapping[str, Any] | None], **columns: Any) -> pa.Table:
    """A table of images with other columns; a column `label` of integers has names in the metadata."""
    table = pa.table({"image": pa.array(images, IMAGE), **columns})
    is_numbered = "label" in columns and pa.types.is_integer(table["label"].type)
    return table.replace_schema_metadata(HF_METADATA if is_numbered else hugging_face(image={"_type": "Image"}))


def parquet(table: pa.Table, rows_per_group: int = 4, **options: Any) -> bytes:
    """A table as the bytes of a Parquet file."""
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=rows_per_group, **options)
    return sink.getvalue()


def photos_in_rows(files: Sequence[Path]) -> pa.Table:
    """A table of photos of a folder `<label>/<photo>`, with class numbers."""
    labels = sorted({path.parent.name for path in files})
    images = [{"bytes": path.read_bytes(), "path": path.name} for path in files]
    table = pa.table({"image": pa.array(images, IMAGE), "label": [labels.index(path.parent.name) for path in files]})
    described = hugging_face(image={"_type": "Image"}, label={"names": labels, "_type": "ClassLabel"})
    return table.replace_schema_metadata(described)
