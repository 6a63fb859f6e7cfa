"""Parquet schemas of all files; they are public, since people and other tools read the files.

Row keys (`sha256`) are the 64 lower-case hex digits of the sha256 of a photo's bytes. Every file carries key-value
metadata: `schema_version`, `stage`, `key`, and `settings`, the settings behind the key as JSON.
"""

import json
from collections.abc import Mapping

import pyarrow as pa

SCHEMA_VERSION = 1

SNAPSHOT = pa.schema(
    [
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("duplicate_of", pa.string()),
        pa.field("conflict", pa.bool_(), nullable=False),
    ]
)

DECODE = pa.schema(
    [
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("image", pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())]), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("format", pa.string(), nullable=False),
        pa.field("mode", pa.string(), nullable=False),
    ]
)

REJECTED = pa.schema(
    [
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("message", pa.string(), nullable=False),
    ]
)

PREDICTIONS = pa.schema(
    [
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("predicted", pa.string(), nullable=False),
        pa.field("probabilities", pa.list_(pa.float32()), nullable=False),
        pa.field("split", pa.string(), nullable=False),
    ]
)

#: One row for each predicted photo. If it could not be read or decoded, `reason` and `message` say why and the
#: prediction is null; `sha256` is null too if no bytes could be read.
PREDICTED = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("sha256", pa.string()),
        pa.field("predicted", pa.string()),
        pa.field("probability", pa.float32()),
        pa.field("probabilities", pa.list_(pa.float32())),
        pa.field("reason", pa.string()),
        pa.field("message", pa.string()),
    ]
)

#: One row for each checkpoint; `time` is the time of the measurement.
CURVE = pa.schema(
    [
        pa.field("step", pa.int64(), nullable=False),
        pa.field("accuracy", pa.float64(), nullable=False),
        pa.field("log_loss", pa.float64(), nullable=False),
        pa.field("photos", pa.int64(), nullable=False),
        pa.field("time", pa.timestamp("ms", "UTC"), nullable=False),
    ]
)

#: One row for each cell; `photos_per_label` is null if all photos of every label are trained on.
COMPARISON = pa.schema(
    [
        pa.field("way", pa.string(), nullable=False),
        pa.field("photos_per_label", pa.int32()),
        pa.field("seed", pa.int32(), nullable=False),
        pa.field("photos", pa.int64(), nullable=False),
        pa.field("test_photos", pa.int64(), nullable=False),
        pa.field("correct", pa.int64(), nullable=False),
        pa.field("accuracy", pa.float64(), nullable=False),
        pa.field("low", pa.float64(), nullable=False),
        pa.field("high", pa.float64(), nullable=False),
        pa.field("seconds", pa.float64(), nullable=False),
        pa.field("passes", pa.int64(), nullable=False),
        pa.field("cut", pa.bool_(), nullable=False),
        pa.field("cell", pa.string(), nullable=False),
    ]
)


def bottleneck_schema(width: int, dtype: str) -> pa.Schema:
    """Schema of a bottleneck store whose vectors have `width` integers, uint8 or int16."""
    number = pa.field("item", pa.type_for_alias(dtype), nullable=False)
    return pa.schema(
        [
            pa.field("sha256", pa.string(), nullable=False),
            pa.field("view", pa.int8(), nullable=False),
            pa.field("bottleneck", pa.list_(number, width), nullable=False),
        ]
    )


def describe(schema: pa.Schema, stage: str, key: str, settings: Mapping[str, object]) -> pa.Schema:
    """Add the metadata of every file to a schema."""
    return schema.with_metadata(
        {
            "schema_version": str(SCHEMA_VERSION),
            "stage": stage,
            "key": key,
            "settings": json.dumps(settings, sort_keys=True, ensure_ascii=False),
        }
    )
