"""The arithmetic precision of the forward pass."""

from typing import Literal, cast, get_args

from tasks.backbone.backbones import Backbone
from tasks.backbone.kinds import KINDS
from tasks.errors import SettingError
from tasks.hardware import Hardware

Precision = Literal["float32", "bfloat16", "int8"]
PRECISIONS: tuple[str, ...] = get_args(Precision)
AUTO = "auto"


def resolve_precision(requested: str, backbone: Backbone, hardware: Hardware) -> Precision:
    """Choose the precision of a backbone's forward pass: `requested`, one of `PRECISIONS`, unless it is `auto`.

    `auto` is bfloat16 if the hardware supports it. On another processor it is int8 for a backbone that was designed for
    int8 and has one layer, and float32 otherwise: with several layers, int8 costs some accuracy.

    Raises:
        SettingError: The hardware does not support the requested precision.
    """
    if requested != AUTO:
        if requested == "int8" and not KINDS[backbone.kind].in_tensorflow:
            raise SettingError(
                f"{backbone.name} is an ONNX file, which is not computed in int8 unless it is quantised itself. Give "
                "--precision float32, bfloat16 or auto."
            )
        if requested == "bfloat16" and not _supports_bfloat16(backbone, hardware):
            raise SettingError(_no_bfloat16(backbone, hardware))
        return cast("Precision", requested)
    if _supports_bfloat16(backbone, hardware):
        return "bfloat16"
    suits_int8 = KINDS[backbone.kind].int8_by_default and len(backbone.layers) == 1 and not hardware.gpu
    return "int8" if suits_int8 else "float32"


def check_gpus(gpus: float, precision: Precision, backbone: Backbone, hardware: Hardware) -> None:
    """Check that a cluster's actors use GPUs if and only if this machine would.

    Raises:
        SettingError: The actors have GPUs that they do not use, or lack those that this machine would use.
    """
    if not KINDS[backbone.kind].in_tensorflow:
        if gpus:
            raise SettingError(
                f"--gpus-per-actor requests GPUs, but {backbone.name} is an ONNX file, which processors compute. Omit "
                "--gpus-per-actor."
            )
    elif precision == "int8":
        if gpus:
            raise SettingError(
                "--gpus-per-actor requests GPUs, but int8 is computed by processors. Give --precision float32 or "
                "bfloat16, or omit --gpus-per-actor."
            )
    elif not gpus and hardware.gpu:
        raise SettingError(
            "This machine has a GPU, but --engine ray uses none without --gpus-per-actor, and its bottlenecks would "
            "differ. Give --gpus-per-actor too, or --engine local."
        )


def _supports_bfloat16(backbone: Backbone, hardware: Hardware) -> bool:
    kind = KINDS[backbone.kind]
    return kind.bfloat16_on_gpu if hardware.gpu and kind.in_tensorflow else hardware.bfloat16


def _no_bfloat16(backbone: Backbone, hardware: Hardware) -> str:
    if hardware.gpu and KINDS[backbone.kind].in_tensorflow:
        return (
            f"{backbone.name} is a finished graph or file, which a GPU computes in float32 only. "
            "Give --precision float32 or auto."
        )
    return (
        "This processor does not compute in bfloat16: it has neither AVX512-BF16 nor AMX. Give --precision float32, "
        "int8 or auto."
    )
