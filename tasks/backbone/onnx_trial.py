"""A trial of a user's ONNX file in a process of its own.

A file of a few bytes can take any memory and time, and a damaged one may crash the library that reads it. Whatever the
checks let in is loaded and run here for the first time, so that the user gets an error and the run goes on.
"""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from tasks.backbone.backbones import Backbone
from tasks.backbone.kinds.base import InputFormat
from tasks.decode.resource_limits import limit_memory
from tasks.decode.worker_process import WorkerCrashError, WorkerProcess
from tasks.errors import BackboneError

ResultT = TypeVar("ResultT")


def try_input(path: Path) -> InputFormat:
    """Read the input of an ONNX file; see `tasks.backbone.onnx_input.read_photo_input`."""
    return _try(_read_input, path)


def try_widths(backbone: Backbone, path: Path) -> tuple[int, ...]:
    """Run an ONNX file; see `tasks.backbone.onnx_graph.measure_widths`."""
    return _try(partial(_measure, backbone), path)


def _read_input(path: Path) -> InputFormat:
    from tasks.backbone.onnx_input import read_photo_input

    photos = read_photo_input(path)
    return InputFormat(photos.size, photos.scaling)


def _measure(backbone: Backbone, path: Path) -> tuple[int, ...]:
    from tasks.backbone.onnx_graph import measure_widths

    return measure_widths(backbone, path)


def _try(work: Callable[[Path], ResultT], path: Path) -> ResultT:
    process: WorkerProcess[Path, ResultT] = WorkerProcess(partial(_run_limited, work))
    try:
        (result,) = process.map([path])
    except WorkerCrashError as exc:
        how = "does not end" if exc.hung else f"crashes (signal {exc.signal})" if exc.signal else "ends the process"
        raise BackboneError(
            f"{path} {how} when it is loaded. It is damaged, or too large for this machine. Export or fetch it again."
        ) from exc
    finally:
        process.kill()
    return result


def _run_limited(work: Callable[[Path], ResultT], path: Path) -> ResultT:
    """Run in the process: do the work with half of the machine's memory."""
    limit = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    limit_memory(limit)
    try:
        return work(path)
    except MemoryError as exc:
        raise BackboneError(
            f"{path} takes more than {limit / 2**30:.0f} GB of memory, half of this machine's. Export it again, or "
            "take a larger machine."
        ) from exc
    except (TypeError, ValueError) as exc:  # for example of a name that is no text
        raise BackboneError(f"{path} is damaged ({exc}). Export or fetch it again.") from exc
