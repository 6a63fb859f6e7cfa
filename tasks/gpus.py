"""The GPUs of this machine that a process may compute on, found without TensorFlow, which takes seconds to ask."""

import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path

#: Where the driver has a file for each GPU.
DEVICES = Path("/dev")
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_NAMED = ("GPU-", "MIG-")


def find_gpus(devices: Path | None = None, environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Name the NVIDIA GPUs that a process may use, each once.

    `CUDA_VISIBLE_DEVICES` narrows them as it does for CUDA: its numbers count the GPUs that are there, and the first
    word that names none ends it. What it gives by UUID, a GPU or a part of one, is named so; it is not known then
    which number that has.

    Args:
        devices: The folder of device files; `DEVICES` without.
        environment: Has `CUDA_VISIBLE_DEVICES`, or has not.

    Returns:
        Numbers of their device files, or UUIDs.
    """
    folder = DEVICES if devices is None else devices
    found = sorted(
        (name.removeprefix("nvidia") for name in _listed(folder) if re.fullmatch("nvidia[0-9]+", name)), key=int
    )
    if _VISIBLE not in environment or not found:
        return tuple(found)
    gpus = []
    for word in map(str.strip, environment[_VISIBLE].split(",")):
        if word.startswith(_NAMED):
            gpus.append(word)
        elif word.isdecimal() and int(word) < len(found):
            gpus.append(found[int(word)])
        else:
            break
    return tuple(dict.fromkeys(gpus))


def claim_gpus() -> dict[str, int]:
    """This machine's GPUs as Luigi's resources, of which its scheduler has one each unless it is told otherwise.

    The machine's name is part of theirs, so that machines do not wait for each other. What runs keeps what it began
    with. Of a task that two machines plan before either begins it, the scheduler knows only what the later one claims,
    whichever gets it: it may wait for a GPU that it will not use, or, seldom, begin beside another on its own.
    """
    return {f"gpu {gpu} of {socket.gethostname()}": 1 for gpu in find_gpus()}


def _listed(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()] if folder.is_dir() else []
