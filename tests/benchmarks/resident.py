"""Resident memory of this process, as the system counts it."""

import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")


def peak() -> float:
    """The most that was resident since the start, or since `forget_peak`: MB."""
    if _STATUS.is_file():
        return _bytes("VmHWM") / 1e6
    # macOS counts in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def resident() -> float:
    """What is resident now: MB; where the system does not tell, its peak."""
    return _bytes("VmRSS") / 1e6 if _STATUS.is_file() else peak()


def forget_peak() -> None:
    """Let `peak` count from now on, where the system can (Linux: proc_pid_clear_refs(5))."""
    if _STATUS.is_file():
        Path("/proc/self/clear_refs").write_text("5")


def _bytes(name: str) -> int:
    lines = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
    return int(lines[name].split()[0]) * 1024
