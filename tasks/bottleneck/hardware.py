"""What this machine can compute in."""

from pathlib import Path
from typing import NamedTuple

_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}
#: Drivers' device files: without any of them TensorFlow need not be loaded to know that it finds no GPU.
_DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")


class Hardware(NamedTuple):
    """What a forward pass can run on.

    Args:
        gpu: Whether TensorFlow computes on a GPU.
        bfloat16: Whether the processor multiplies bfloat16 itself.
    """

    gpu: bool
    bfloat16: bool


def find_hardware(processor: Path = Path("/proc/cpuinfo")) -> Hardware:
    """Look at this machine.

    Args:
        processor: Where Linux says what the processor can; elsewhere there is no such file, and no bfloat16 either.
    """
    text = processor.read_text() if processor.is_file() else ""
    flags = {flag for line in text.splitlines() if line.startswith("flags") for flag in line.split()}
    return Hardware(gpu=_has_gpu(), bfloat16=bool(flags & _BFLOAT16_FLAGS))


def _has_gpu() -> bool:
    if not any(Path(driver).exists() for driver in _DRIVERS):
        return False
    from tasks.quiet_tensorflow import tf  # noqa: PLC0415 (takes seconds, and is needed only where there is a driver)

    return bool(tf.config.list_physical_devices("GPU"))
