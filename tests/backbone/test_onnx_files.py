"""An ONNX file as a backbone: EfficientNet-Lite0 in one gives what EfficientNet-Lite0 gives, without TensorFlow."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from tasks.backbone.backbones import Prepared
from tasks.backbone.kinds import onnx_file
from tasks.backbone.prepare import prepare_backbone, prepare_own
from tasks.backbone.request import BackboneRequest
from tasks.bottleneck.openvino_forward import OpenVinoForward, openvino_network
from tasks.bottleneck.quantisation import RELU6, quantise
from tasks.errors import BackboneError, SettingError
from tasks.progress import NullProgress
from tasks.storage.files import local
from tests.backbone.onnx_models import SIZE, lite, lite_outputs, small
from tests.support.processes import run

SIDE = 96
NIGHT = """
import json, sys
from pathlib import Path
from tasks.backbone.prepare import prepare_own
from tasks.backbone.request import BackboneRequest
from tasks.bottleneck.forward import open_forward
from tasks.bottleneck.settings import BottleneckSettings
from tasks.progress import NullProgress

path, folder = Path(sys.argv[1]), Path(sys.argv[2])
prepared = prepare_own(BackboneRequest(str(path), scaling="unit"), path)
forward = open_forward(BottleneckSettings(prepared.backbone, "jpeg", "float32", 1), path, folder, NullProgress())
print(json.dumps([type(forward).__name__, *sorted({"keras", "onnx", "tensorflow"} & sys.modules.keys())]))
"""


@pytest.fixture
def lite0(tmp_path: Path) -> Prepared:
    return prepare_backbone(BackboneRequest("efficientnet_lite0", size=SIDE), tmp_path, NullProgress())


def test_lite0_as_an_onnx_file_gives_what_lite0_gives(lite0: Prepared, tmp_path: Path) -> None:
    backbone = lite0.backbone
    path = lite(tmp_path / "lite0.onnx", local(lite0.weights), 0, SIDE, backbone.layers)
    named = ",".join(lite_outputs(backbone.layers))
    own = prepare_own(BackboneRequest(str(path), bottleneck_tensor=named), path)
    assert (own.backbone.name, own.backbone.kind, own.backbone.size) == ("lite0", "onnx_file", SIDE)
    assert (own.backbone.widths, own.backbone.scaling) == (backbone.widths, "raw")
    pixels = np.random.default_rng(0).integers(0, 256, (4, SIDE, SIDE, 3), np.uint8)
    expected, found = (
        OpenVinoForward(openvino_network(each, tmp_path / each.backbone.kind, NullProgress()), "float32")(pixels)
        for each in (lite0, own)
    )
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert np.ptp(expected, axis=0).max() > 1
    stored = [quantise(averages, RELU6, list("abcd")) for averages in (expected, found)]
    assert (stored[0] == stored[1]).mean() > 0.999
    last = prepare_own(BackboneRequest(str(path), bottleneck_tensor=named, layers="last"), path)
    assert last.backbone == own.backbone.last_layer


def test_night_loads_no_tensorflow_and_the_next_one_no_onnx(tmp_path: Path) -> None:
    path = small(tmp_path / "mine.onnx")
    for loaded in (["onnx"], []):
        done = run([sys.executable, "-c", NIGHT, str(path), str(tmp_path / "store")]).check()
        assert json.loads(done.output) == ["OpenVinoForward", *loaded]


def test_parameters_that_the_file_needs_or_does_not_take(tmp_path: Path) -> None:
    fixed, free = small(tmp_path / "fixed.onnx"), small(tmp_path / "free.onnx", shape=("N", 3, "H", "W"))
    for path, wishes, message in (
        (fixed, {}, "does not say how to scale its pixels.*clip"),
        (free, {"scaling": "clip"}, "leaves the size of photos open. Give --image-size"),
        (fixed, {"scaling": "clip", "size": 64}, f"takes {SIZE} pixels only"),
        (fixed, {"scaling": "clip", "input_tensor": "pixels"}, "--input-tensor is for frozen graphs"),
        (fixed, {"scaling": "clip", "bottleneck_tensor": "logits"}, "no tensor 'logits'"),
    ):
        with pytest.raises(SettingError, match=message):
            prepare_own(BackboneRequest(str(path), **wishes), path)
    prepared = prepare_own(BackboneRequest(str(free), scaling="clip", size=40), free)
    assert (prepared.backbone.size, prepared.backbone.widths) == (40, (6,))


def test_size_that_the_network_cannot_take_is_an_error(tmp_path: Path) -> None:
    path = small(tmp_path / "free.onnx", shape=("N", 3, "H", "W"))
    with pytest.raises(BackboneError, match=r"OpenVINO cannot compute .*Kernel .* Give another --image-size"):
        prepare_own(BackboneRequest(str(path), scaling="unit", size=4), path)


def test_missing_package_is_an_error_that_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_file, "find_spec", lambda _: None)
    path = small(tmp_path / "mine.onnx")
    with pytest.raises(BackboneError, match=r"pip install -e '\.\[onnx\]'"):
        prepare_own(BackboneRequest(str(path), scaling="unit"), path)
