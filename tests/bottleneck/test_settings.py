"""The settings of bottlenecks: read back as they were written, and told by the metadata of a store."""

import json
from dataclasses import asdict, replace

import pyarrow as pa
import pytest

from tasks.bottleneck.settings import BottleneckSettings
from tasks.settings import settings_from
from tasks.storage.layout import DataRoot
from tests.train.examples import BACKBONE, BOTTLENECK, DISTORTED


@pytest.mark.parametrize("own", [BOTTLENECK, DISTORTED], ids=["plain", "distorted"])
def test_settings_are_read_back_from_json(own: BottleneckSettings) -> None:
    assert settings_from(BottleneckSettings, json.loads(json.dumps(asdict(own)))) == own


@pytest.mark.parametrize(
    ("kind", "dtype", "step"), [("efficientnet_lite", pa.uint8(), 6**0.5 / 255), ("keras_file", pa.int16(), 1 / 256)]
)
def test_the_metadata_of_a_store_name_the_numbers_of_each_layer_and_the_size_of_a_step(
    root: DataRoot, kind: str, dtype: pa.DataType, step: float
) -> None:
    """Numbers of a network without a known bound take 16 bits."""
    own = replace(BOTTLENECK, backbone=replace(BACKBONE, kind=kind))
    schema = own.store(root).schema
    layers = json.loads(schema.metadata[b"layers"])
    assert [layer["layer"] for layer in layers] == list(BACKBONE.layers)
    assert [layer["stop"] - layer["start"] for layer in layers] == list(BACKBONE.widths)
    assert [layer["start"] for layer in layers] == [0, *(layer["stop"] for layer in layers[:-1])]
    assert float(schema.metadata[b"step"]) == step
    assert json.loads(schema.metadata[b"settings"])["precision"] == "float32"
    vector = schema.field("bottleneck").type
    assert (vector.value_type, vector.list_size) == (dtype, BACKBONE.width)
