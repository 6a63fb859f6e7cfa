"""The settings of bottlenecks: what was stored before float16 was a choice keeps its key and is read as float32."""

import json
from dataclasses import asdict, replace

import pyarrow as pa
import pytest

from tasks.artifacts import DataRoot, settings_from
from tasks.bottleneck.settings import BottleneckSettings, Distortion
from tasks.paths import to_path
from tests.train.examples import BOTTLENECK, settings

DISTORTED = replace(
    BOTTLENECK,
    distortion=Distortion(2, flip_left_right=True, random_crop=0, random_scale=0, random_brightness=10, seed=0),
)


@pytest.mark.parametrize(
    ("key", "today"),
    [
        ("d129f90742640cf4", BOTTLENECK.key),
        ("73921be84ada2110", DISTORTED.key),
        ("466f92a99b8150a6", settings().key("snap")),
    ],
)
def test_keys_of_float32_are_those_of_when_there_was_no_other(key: str, today: str) -> None:
    assert today == key


def test_float16_has_a_key_of_its_own_and_so_has_its_head() -> None:
    half = replace(BOTTLENECK, dtype="float16")
    assert half.key != BOTTLENECK.key
    assert settings(bottleneck=half).key("snap") != settings().key("snap")


@pytest.mark.parametrize("own", [BOTTLENECK, DISTORTED])
def test_settings_of_when_there_was_no_other_are_read_as_float32(own: BottleneckSettings) -> None:
    values = json.loads(json.dumps(asdict(own)))
    del values["dtype"]
    assert settings_from(BottleneckSettings, values) == own


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_settings_are_read_back_with_what_they_are_stored_in(dtype: str) -> None:
    own = settings_from(BottleneckSettings, asdict(BOTTLENECK) | {"dtype": dtype})
    assert own.dtype == dtype
    schema = own.store(DataRoot(to_path("root"))).schema
    assert schema.field("bottleneck").type.value_type == pa.type_for_alias(dtype)
    assert json.loads(schema.metadata[b"settings"])["dtype"] == dtype
