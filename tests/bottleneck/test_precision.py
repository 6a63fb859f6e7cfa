"""Precision: `auto`, and errors of unsupported precisions."""

from dataclasses import replace

import pytest

from tasks.backbone.backbones import Backbone
from tasks.backbone.kinds import KINDS
from tasks.bottleneck.precision import AUTO, PRECISIONS, check_gpus, resolve_precision
from tasks.errors import SettingError
from tasks.hardware import Hardware

LITE = Backbone("lite", "efficientnet_lite", "0", "0" * 64, 64, ("bottleneck",), (1280,), "lite")
PLAIN, HALF, GPU = Hardware(gpu=False, bfloat16=False), Hardware(gpu=False, bfloat16=True), Hardware(True, True)
TWO_LAYERS = replace(LITE, layers=("bottleneck", "block11_depthwise_relu"), widths=(1280, 672))


@pytest.mark.parametrize(
    ("backbone", "hardware", "precision"),
    [
        *((replace(LITE, kind=kind), HALF, "bfloat16") for kind in KINDS),
        *((replace(LITE, kind=kind), PLAIN, "float32") for kind in KINDS if kind != LITE.kind),
        (LITE, PLAIN, "int8"),
        (TWO_LAYERS, PLAIN, "float32"),
        (LITE, GPU, "bfloat16"),
        (replace(LITE, kind="keras_application"), GPU, "bfloat16"),
        (replace(LITE, kind="saved_model"), GPU, "float32"),
        (replace(LITE, kind="onnx_file"), GPU, "bfloat16"),  # of the processor
        (replace(LITE, kind="onnx_file"), GPU._replace(bfloat16=False), "float32"),
    ],
)
def test_auto_goes_by_the_backbone_and_the_hardware(backbone: Backbone, hardware: Hardware, precision: str) -> None:
    assert resolve_precision(AUTO, backbone, hardware) == precision


@pytest.mark.parametrize("precision", PRECISIONS)
def test_requested_precision_is_used(precision: str) -> None:
    assert resolve_precision(precision, LITE, HALF) == precision


@pytest.mark.parametrize(
    ("backbone", "hardware", "message"),
    [
        (LITE, PLAIN, r"neither AVX512-BF16 nor AMX.* Give --precision float32, int8 or auto"),
        (replace(LITE, kind="frozen_graph"), GPU, r"lite is a finished graph.* Give --precision float32"),
        (replace(LITE, kind="onnx_file"), GPU._replace(bfloat16=False), "neither AVX512-BF16 nor AMX"),
    ],
)
def test_bfloat16_without_support_is_an_error(backbone: Backbone, hardware: Hardware, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        resolve_precision("bfloat16", backbone, hardware)


def test_int8_of_an_onnx_file_is_an_error() -> None:
    with pytest.raises(SettingError, match="lite is an ONNX file, which is not computed in int8"):
        resolve_precision("int8", replace(LITE, kind="onnx_file"), HALF)


def test_actors_need_no_gpu_for_an_onnx_file() -> None:
    backbone = replace(LITE, kind="onnx_file")
    check_gpus(0, "bfloat16", backbone, GPU)
    with pytest.raises(SettingError, match="lite is an ONNX file, which processors compute"):
        check_gpus(1, "bfloat16", backbone, GPU)
