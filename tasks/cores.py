"""How many processes are worth starting."""

import os


def available_cores() -> int:
    """Count the cores that this process may use; macOS knows no such limit."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
