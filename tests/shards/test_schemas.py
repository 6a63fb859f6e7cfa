"""Schemas are public: their columns are those that the architecture promises."""

import json

import pyarrow as pa
import pytest

from tasks.shards.schemas import DECODE, PREDICTIONS, REJECTED, SNAPSHOT, bottleneck_schema, describe

COLUMNS = {
    "snapshot": "sha256 path label bytes duplicate_of conflict",
    "decode": "sha256 image width height format mode",
    "rejected": "sha256 path reason message",
    "bottleneck": "sha256 view bottleneck",
    "predictions": "sha256 path label predicted probabilities split",
}
SCHEMAS = {
    "snapshot": SNAPSHOT,
    "decode": DECODE,
    "rejected": REJECTED,
    "bottleneck": bottleneck_schema(1280, "uint8"),
    "predictions": PREDICTIONS,
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_has_the_promised_columns_and_is_keyed_by_sha256(name: str) -> None:
    schema = SCHEMAS[name]
    assert " ".join(schema.names) == COLUMNS[name]
    assert schema.field("sha256") == pa.field("sha256", pa.string(), nullable=False)


@pytest.mark.parametrize("name", SCHEMAS)
def test_only_what_can_be_missing_may_be_null(name: str) -> None:
    assert [field.name for field in SCHEMAS[name] if field.nullable] == (["duplicate_of"] if name == "snapshot" else [])


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
