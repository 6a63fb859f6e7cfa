"""How many processes are worth starting."""

import os

#: What this process was given of the machine; 0 is all of it.
_share = 0


def available_cores() -> int:
    """Count the cores that this process may use; macOS knows no such limit."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, _share) if _share else cores


def limit_cores(share: int) -> None:
    """Let this process count on so many cores only: others of the machine have the rest."""
    global _share  # noqa: PLW0603 (it is the process that has them)
    _share = share
