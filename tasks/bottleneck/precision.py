"""Precision: what a forward pass computes in."""

from typing import Literal, cast, get_args

from tasks.backbone.backbones import Backbone
from tasks.backbone.kinds import KINDS
from tasks.errors import SettingError
from tasks.hardware import Hardware

Precision = Literal["float32", "bfloat16", "int8"]
PRECISIONS: tuple[str, ...] = get_args(Precision)
AUTO = "auto"


def resolve_precision(wish: str, backbone: Backbone, hardware: Hardware) -> Precision:
    """Decide what a backbone's forward pass computes in.

    `auto` is bfloat16 where the hardware computes in it. On another processor it is int8 for the last layer alone of a
    backbone that was made for it, and float32 for all else: in int8, several layers cost some accuracy.

    Args:
        wish: One of `PRECISIONS`, or `auto`.
        backbone: The backbone.
        hardware: Where it runs.

    Raises:
        SettingError: The hardware does not compute in what is asked for.
    """
    if wish != AUTO:
        if wish == "bfloat16" and not _computes_bfloat16(backbone, hardware):
            raise SettingError(_no_bfloat16(backbone, hardware))
        return cast("Precision", wish)
    if _computes_bfloat16(backbone, hardware):
        return "bfloat16"
    suits_int8 = KINDS[backbone.kind].int8_by_default and len(backbone.layers) == 1 and not hardware.gpu
    return "int8" if suits_int8 else "float32"


def check_gpus(gpus: float, precision: Precision, hardware: Hardware) -> None:
    """Check that a cluster's actors use GPUs where this machine would, and ask for none that they do not use.

    Args:
        gpus: GPUs of each actor.
        precision: What bottlenecks are computed in.
        hardware: This machine.

    Raises:
        SettingError: They do not.
    """
    if precision == "int8":
        if gpus:
            raise SettingError(
                "--gpus-per-actor asks for GPUs, and int8 is computed by processors. Give --precision float32 or "
                "bfloat16, or leave --gpus-per-actor out."
            )
    elif not gpus and hardware.gpu:
        raise SettingError(
            "This machine has a GPU, and --engine ray uses none unless it is told to: its bottlenecks would be others. "
            "Give --gpus-per-actor too, or --engine local."
        )


def _computes_bfloat16(backbone: Backbone, hardware: Hardware) -> bool:
    return KINDS[backbone.kind].bfloat16_on_gpu if hardware.gpu else hardware.bfloat16


def _no_bfloat16(backbone: Backbone, hardware: Hardware) -> str:
    if hardware.gpu:
        return (
            f"{backbone.name} comes as a finished graph or file, which a GPU computes in float32 only. "
            "Give --precision float32 or auto."
        )
    return (
        "This processor does not compute in bfloat16: it has neither AVX512-BF16 nor AMX. Give --precision float32, "
        "int8 or auto."
    )
