"""Actors on the nodes of a cluster: each applies a function to one block after the other."""

import os
import pickle
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from tasks.cluster.resources import Pool
from tasks.errors import MachineError, PipelineError
from tasks.hardware import limit_cores
from tasks.paths import AnyPath, to_path
from tasks.runtime.os_errors import explain_os_errors
from tasks.storage.files import storage_at

#: Processes a block on a node. It is pickled, so it holds plain values; an actor keeps it and what it caches.
Work = Callable[[pa.Table], Any]


class Job(NamedTuple):
    """The processing of blocks."""

    stage: str  #: Name of the stage.
    data_root: str  #: The data root, which all nodes see, as `text_of` writes it.
    work: Work  #: Function of a block that can be pickled, of a class that the nodes have too.
    mark: str = ""  #: A temporary file that `results` makes in the data root; empty on an object store.


class Failure(NamedTuple):
    """Result of a block whose work failed, with the exception."""

    error: Exception

    def pickled(self) -> bytes:
        """Pickle it; an exception that cannot be unpickled is replaced by its text."""
        exc = self.error
        lines = "".join(traceback.format_exception(exc))
        if not isinstance(exc, PipelineError):
            # A bug, whose traceback does not survive pickling.
            exc.add_note(lines)
        try:
            pickled = pickle.dumps(self)
            pickle.loads(pickled)  # noqa: S301 (written a line above)
        except Exception:  # noqa: BLE001 (any class may fail in its own way)
            return pickle.dumps(Failure(RuntimeError(lines)))
        return pickled


class Actor:
    """Processes blocks, and returns the pickled result or failure of each in a column `outcome`.

    It raises no exceptions: Ray would try the block again on every node, and wrap the exception in its own.
    """

    def __init__(self, job: Job, pool: Pool) -> None:
        self._job = job
        limit_cores(pool.cpus)
        # Processes that it starts would import the program that the actor runs in, and Ray with it.
        sys.modules["__main__"].__file__ = None
        # TensorFlow takes every GPU that it finds otherwise.
        if not pool.gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = os.environ["HIP_VISIBLE_DEVICES"] = "-1"
        os.environ["TF_NUM_INTRAOP_THREADS"] = str(pool.cpus)

    def __call__(self, block: pa.Table) -> pa.Table:
        """Process a block."""
        return pa.table({"outcome": [run_job(self._job, block)]})


def run_job(job: Job, block: pa.Table) -> bytes:
    """Process a block; returns the pickled result, or the pickled `Failure`."""
    try:
        with explain_os_errors(f"The stage {job.stage}", to_path(job.data_root)):
            if job.mark and not Path(job.mark).exists():
                raise MachineError(
                    f"The node {socket.gethostname()} does not see the data root {job.data_root}, or has one of "
                    "its own there. Give a --data-root that all nodes share: a folder, or one on an object store."
                )
            return pickle.dumps(job.work(block))
    except Exception as exc:  # noqa: BLE001 (the driving machine raises it)
        return Failure(exc).pickled()


def check_version(asked: str, here: str) -> None:
    """Raise a MachineError unless this node computes the same key of the settings as the driving machine."""
    if asked != here:
        raise MachineError(
            f"The node {socket.gethostname()} has another version of this project than the machine that asks for its "
            "work. Install the same one on all nodes, and run again."
        )


def check_folder(folder: AnyPath) -> None:
    """Raise a MachineError unless this node sees the folder of the photos."""
    if not storage_at(folder).is_shared and not folder.is_dir():
        raise MachineError(
            f"The node {socket.gethostname()} does not see the photos in {folder}. Put them where all nodes do: on a "
            "folder that they share, or on an object store."
        )
