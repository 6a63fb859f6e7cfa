"""Precision: `auto` goes by the backbone and the hardware, and what the hardware cannot do is refused."""

from dataclasses import replace

import pytest

from tasks.backbone.backbones import Backbone
from tasks.backbone.kinds import KINDS
from tasks.bottleneck.precision import AUTO, PRECISIONS, resolve_precision
from tasks.errors import SettingError
from tasks.hardware import Hardware

LITE = Backbone("lite", "efficientnet_lite", "0", "0" * 64, 64, ("bottleneck",), (1280,), "lite")
PLAIN, HALF, GPU = Hardware(gpu=False, bfloat16=False), Hardware(gpu=False, bfloat16=True), Hardware(True, True)
EVERY_OTHER = ("frozen_graph", "keras_application", "keras_file", "saved_model")


@pytest.mark.parametrize("kind", KINDS)
def test_auto_is_bfloat16_where_the_processor_computes_in_it(kind: str) -> None:
    assert resolve_precision(AUTO, replace(LITE, kind=kind), HALF) == "bfloat16"


@pytest.mark.parametrize("kind", EVERY_OTHER)
def test_auto_is_float32_on_another_processor(kind: str) -> None:
    assert resolve_precision(AUTO, replace(LITE, kind=kind), PLAIN) == "float32"


def test_auto_is_int8_there_for_the_last_layer_alone_of_a_backbone_that_was_made_for_it() -> None:
    assert resolve_precision(AUTO, LITE, PLAIN) == "int8"
    earlier = replace(LITE, layers=("bottleneck", "block11_depthwise_relu"), widths=(1280, 672))
    assert resolve_precision(AUTO, earlier, PLAIN) == "float32"


def test_auto_on_a_gpu_is_bfloat16_for_what_is_built_here_and_float32_for_what_is_not() -> None:
    assert resolve_precision(AUTO, LITE, GPU) == "bfloat16"
    assert resolve_precision(AUTO, replace(LITE, kind="keras_application"), GPU) == "bfloat16"
    assert resolve_precision(AUTO, replace(LITE, kind="saved_model"), GPU) == "float32"


@pytest.mark.parametrize("precision", PRECISIONS)
def test_what_is_asked_for_is_taken(precision: str) -> None:
    assert resolve_precision(precision, LITE, HALF) == precision


def test_bfloat16_on_a_processor_without_it_is_refused() -> None:
    with pytest.raises(SettingError, match=r"neither AVX512-BF16 nor AMX.* Give --precision float32, int8 or auto"):
        resolve_precision("bfloat16", LITE, PLAIN)


def test_bfloat16_of_a_finished_graph_on_a_gpu_is_refused() -> None:
    with pytest.raises(SettingError, match=r"lite is a finished graph.* Give --precision float32"):
        resolve_precision("bfloat16", replace(LITE, kind="frozen_graph"), GPU)
