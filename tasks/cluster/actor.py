"""What runs on a cluster's nodes: an actor that does a plain function's work on one block after the other."""

import os
import pickle
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from tasks.errors import MachineError, PipelineError
from tasks.hardware import limit_cores
from tasks.paths import AnyPath, to_path
from tasks.runtime.os_errors import explain_os_errors
from tasks.storage.files import storage_at

#: Does the work on a block, on a node: a value that can be pickled, made of plain ones. What it makes ready it keeps.
Work = Callable[[pa.Table], Any]


class ActorLocation(NamedTuple):
    """Where an actor stands, for what it says.

    Args:
        stage: The stage that it works for.
        data_root: The data root.
        mark: A file of it that is there meanwhile; empty where it is on an object store.
        cpus: Processors that an actor may use.
        gpus: GPUs that Ray has given it; without any it uses none, even where there are some.
    """

    stage: str
    data_root: str
    mark: str
    cpus: int
    gpus: float = 0

    def check(self) -> None:
        """See whether the data root is the same one as on the machine that asks for the work.

        Raises:
            MachineError: It is another one.
        """
        if self.mark and not Path(self.mark).exists():
            raise MachineError(
                f"The node {socket.gethostname()} does not see the data root {self.data_root}, or has one of its own "
                "there. Give a --data-root that all nodes share: a folder, or one on an object store."
            )


class Failure(NamedTuple):
    """What came of a block instead of a result.

    Args:
        error: What was raised.
    """

    error: Exception

    def pickled(self) -> bytes:
        """It as bytes; what cannot be made again from them is told as text."""
        exc = self.error
        lines = "".join(traceback.format_exception(exc))
        if not isinstance(exc, PipelineError):
            # A bug: whoever reads of it wants to know where.
            exc.add_note(lines)
        try:
            pickled = pickle.dumps(self)
            pickle.loads(pickled)  # noqa: S301 (written a line above)
        except Exception:  # noqa: BLE001 (whatever its class makes of that)
            return pickle.dumps(Failure(RuntimeError(lines)))
        return pickled


class Actor:
    """Does the work, and hands back what came of it, or what was raised, in a column `outcome`.

    Errors are no exceptions for Ray: it would try the block again on every node, and bury what was raised in its own.

    Args:
        work: What to do with a block.
        place: Where it stands.
    """

    def __init__(self, work: Work, place: ActorLocation) -> None:
        self._work, self._place = work, place
        limit_cores(place.cpus)
        # Of the processes that it starts: each would import the program that the actor runs in, and Ray with it.
        sys.modules["__main__"].__file__ = None
        # TensorFlow takes every GPU that it finds otherwise.
        if not place.gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = os.environ["HIP_VISIBLE_DEVICES"] = "-1"
        os.environ["TF_NUM_INTRAOP_THREADS"] = str(place.cpus)

    def __call__(self, block: pa.Table) -> pa.Table:
        """Do the work on a block."""
        return pa.table({"outcome": [outcome(self._work, self._place, block)]})


def outcome(work: Work, place: ActorLocation, block: pa.Table) -> bytes:
    """What came of the work on a block, pickled: its result, or `Failure`."""
    try:
        with explain_os_errors(f"The stage {place.stage}", to_path(place.data_root)):
            place.check()
            return pickle.dumps(work(block))
    except Exception as exc:  # noqa: BLE001 (whoever asked for the work raises it)
        return Failure(exc).pickled()


def check_version(asked: str, here: str) -> None:
    """Compare the key of what is asked for with the key that the same settings have on this node.

    Raises:
        MachineError: It is another one: what would be written here is not what is asked for.
    """
    if asked != here:
        raise MachineError(
            f"The node {socket.gethostname()} has another version of this project than the machine that asks for its "
            "work. Install the same one on all nodes, and run again."
        )


def check_folder(folder: AnyPath, what: str) -> None:
    """See whether a folder can be seen from this node.

    Raises:
        MachineError: It cannot.
    """
    if not storage_at(folder).is_shared and not folder.is_dir():
        raise MachineError(
            f"The node {socket.gethostname()} does not see {what} in {folder}. Put them where all nodes do: on a "
            "folder that they share, or on an object store."
        )
