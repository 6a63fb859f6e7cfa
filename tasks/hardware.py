"""The cores and GPUs that this process may use, and the precisions that they compute in.

GPUs are found without TensorFlow, which takes seconds to ask.
"""

import os
import re
import socket
from pathlib import Path
from typing import NamedTuple

#: Folder in which the driver has a file for each GPU.
DEVICES = Path("/dev")
#: File in which Linux lists the processor's features; other systems have none, and no bfloat16.
PROCESSOR = Path("/proc/cpuinfo")
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_UUID_PREFIXES = ("GPU-", "MIG-")
_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}
#: Device files of drivers: without any of them TensorFlow finds no GPU, and is not loaded to ask.
_DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
#: Cores that this process was given; 0 is all of the machine's.
_core_limit = 0


class Hardware(NamedTuple):
    """The hardware of a forward pass."""

    gpu: bool  #: Whether TensorFlow computes on a GPU.
    bfloat16: bool  #: Whether the processor multiplies bfloat16 itself.


def available_cores() -> int:
    """Count the cores that this process may use; macOS knows no such limit."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, _core_limit) if _core_limit else cores


def limit_cores(count: int) -> None:
    """Limit this process to a number of cores; other processes use the rest."""
    global _core_limit  # noqa: PLW0603 (the limit is the process's)
    _core_limit = count


def find_hardware() -> Hardware:
    """Find the hardware of this machine."""
    text = PROCESSOR.read_text() if PROCESSOR.is_file() else ""
    flags = {flag for line in text.splitlines() if line.startswith("flags") for flag in line.split()}
    return Hardware(gpu=_has_gpu(), bfloat16=bool(flags & _BFLOAT16_FLAGS))


def find_gpus() -> tuple[str, ...]:
    """Name the NVIDIA GPUs that this process may use, each once, by the numbers of their device files or by UUIDs.

    `CUDA_VISIBLE_DEVICES` narrows them as it does for CUDA: its numbers count the GPUs of the machine, and the first
    word that names none ends it. A GPU, or a part of one, that it gives by UUID is named by its UUID.
    """
    names = [path.name for path in DEVICES.iterdir()] if DEVICES.is_dir() else []
    found = sorted((name.removeprefix("nvidia") for name in names if re.fullmatch("nvidia[0-9]+", name)), key=int)
    if _VISIBLE not in os.environ or not found:
        return tuple(found)
    gpus = []
    for word in map(str.strip, os.environ[_VISIBLE].split(",")):
        if word.startswith(_UUID_PREFIXES):
            gpus.append(word)
        elif word.isdecimal() and int(word) < len(found):
            gpus.append(found[int(word)])
        else:
            break
    return tuple(dict.fromkeys(gpus))


def claim_gpus() -> dict[str, int]:
    """This machine's GPUs as Luigi's resources, of which its scheduler has one each by default.

    A resource's name contains the machine's, so that machines do not wait for each other. Where two machines plan one
    task before either begins it, the scheduler knows only the later one's claim: the task may wait for a GPU that it
    does not use, or, seldom, begin beside another one on its own.
    """
    return {f"gpu {gpu} of {socket.gethostname()}": 1 for gpu in find_gpus()}


def _has_gpu() -> bool:
    if not any(Path(driver).exists() for driver in _DRIVERS):
        return False
    from tasks.runtime.tensorflow_import import tf  # noqa: PLC0415 (takes seconds, and is needed only with a driver)

    return bool(tf.config.list_physical_devices("GPU"))
