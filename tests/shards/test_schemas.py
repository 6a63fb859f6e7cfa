"""Schemas are public: their columns are those that the architecture promises."""

import json

import pyarrow as pa
import pytest

from tasks.shards.schemas import (
    DECODE,
    LABEL_ISSUES,
    NEAR_DUPLICATES,
    PHOTO_STATISTICS,
    PREDICTIONS,
    REJECTED,
    SNAPSHOT,
    bottleneck_schema,
    describe,
)


@pytest.mark.parametrize(
    ("schema", "columns"),
    [
        (SNAPSHOT, "sha256 path label bytes duplicate_of conflict split"),
        (DECODE, "sha256 image width height format mode"),
        (REJECTED, "sha256 path reason message"),
        (bottleneck_schema(1280, "uint8"), "sha256 view bottleneck"),
        (PHOTO_STATISTICS, "sha256 width height format brightness sharpness saturation warmth tint vector"),
        (PREDICTIONS, "sha256 path label predicted probabilities split cross_validated"),
        (NEAR_DUPLICATES, "group sha256 path label split similarity"),
        (
            LABEL_ISSUES,
            "sha256 path label suggested label_probability suggested_probability score is_issue",
        ),
    ],
    ids=[
        "snapshot",
        "decode",
        "rejected",
        "bottleneck",
        "photo statistics",
        "predictions",
        "near duplicates",
        "label issues",
    ],
)
def test_a_schema_has_the_promised_columns_and_nulls_only_where_promised(schema: pa.Schema, columns: str) -> None:
    assert " ".join(schema.names) == columns
    assert schema.field("sha256") == pa.field("sha256", pa.string(), nullable=False)
    nullable = [field.name for field in schema if field.nullable]
    promised = {"duplicate_of", "cross_validated", *(["split"] if schema is SNAPSHOT else [])}
    assert nullable == [name for name in schema.names if name in promised]


def test_pictures_follow_the_hugging_face_convention() -> None:
    assert DECODE.field("image").type == pa.struct({"bytes": pa.binary(), "path": pa.string()})


def test_a_bottleneck_has_a_fixed_width_of_whole_numbers() -> None:
    for schema, number in (
        (bottleneck_schema(1280, "uint8"), pa.uint8()),
        (bottleneck_schema(1280, "int16"), pa.int16()),
    ):
        kind = schema.field("bottleneck").type
        assert (kind.list_size, kind.value_type, kind.value_field.nullable) == (1280, number, False)
        assert schema.field("view").type == pa.int8()


def test_metadata_names_version_stage_key_and_settings() -> None:
    schema = describe(SNAPSHOT, "snapshot", "cafe", {"b": 1, "a": "Größe"})
    assert schema.equals(SNAPSHOT)
    assert schema.metadata == {
        b"schema_version": b"1",
        b"stage": b"snapshot",
        b"key": b"cafe",
        b"settings": '{"a": "Größe", "b": 1}'.encode(),
    }
    assert json.loads(schema.metadata[b"settings"]) == {"a": "Größe", "b": 1}
