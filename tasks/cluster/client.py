"""Processes blocks on a cluster, and explains in a sentence why it cannot."""

import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pyarrow as pa

from tasks.cluster.actor import Failure, Job
from tasks.cluster.addresses import Cluster, check_reachable, last_line, unreachable
from tasks.cluster.driver_process import ClusterTask, Failed, Message, driving
from tasks.cluster.resources import Node, Pool, fit_pool
from tasks.errors import MachineError
from tasks.paths import AnyPath, to_path
from tasks.progress import Progress
from tasks.storage.files import storage_at
from tasks.storage.tempfiles import make_temporary

#: Seconds that a cluster may take to report its nodes, and one that starts on this machine, which may be busy.
_PATIENCE, _START_PATIENCE = 45.0, 300.0
#: Part of Ray's message if a node cannot unpickle the actor's class or arguments.
_NOT_CREATED = "error raised in its creation task"
#: Part of Ray's message if a cluster requires a token.
_AUTH_ERROR = "InvalidAuthToken"


class ClusterConnection:
    """A connection to a cluster that answers, through the process that drives it."""

    def __init__(self, cluster: Cluster, connection: Connection, nodes: Sequence[Node]) -> None:
        self._cluster, self._connection, self._nodes = cluster, connection, nodes

    def choose_pool(self, most_cpus: int, gpus: float, progress: Progress) -> Pool:
        """Choose the actors, see `fit_pool`; nodes with room for some may still join a cluster.

        Raises:
            MachineError: This machine has no room for an actor.
        """
        pool = fit_pool(self._nodes, most_cpus, gpus)
        if not pool.actors:
            size = f"{gpus:g} GPUs and a processor" if gpus else "a processor"
            if not self._cluster.address:
                raise MachineError(f"Ray finds no room on this machine for an actor with {size}: ask for fewer.")
            progress.tell(
                f"No node of the {self._cluster} has room for an actor with {size}: waiting for one that has."
            )
        return pool

    def results(self, job: Job, blocks: Sequence[pa.Table], pool: Pool) -> Iterator[Any]:
        """Process blocks with a pool of actors, and yield the results in any order; a connection does this once.

        Raises:
            MachineError: The cluster is lost, or its nodes cannot do the work.
            Exception: The exception that the work raised.
        """
        with _marked(to_path(job.data_root)) as mark:
            # If the process has ended meanwhile, no message comes.
            with suppress(ConnectionError):
                self._connection.send(ClusterTask(job._replace(mark=mark), list(blocks), pool))
            while isinstance(message := _receive(self._connection), bytes):
                outcome = pickle.loads(message)  # noqa: S301 (of our own process)
                if isinstance(outcome, Failure):
                    raise outcome.error
                yield outcome
        if isinstance(message, Failed):
            raise self._lost(message.why or "it does not answer any more")

    def _lost(self, why: str) -> MachineError:
        if _NOT_CREATED in why:
            return MachineError(
                f"The nodes of the {self._cluster} cannot begin the work ({last_line(why)}). They need this project, "
                "in the same version as this machine: install it on all of them, and run again."
            )
        return MachineError(
            f"The {self._cluster} is lost ({last_line(why)}). Published results are kept; run again to go on from "
            "there."
        )


def _receive(connection: Connection) -> Message:
    """Receive a message; a failure without a reason if the process has ended, as Ray ends it if a cluster is lost."""
    try:
        message: Message = connection.recv()
    except (EOFError, ConnectionError):
        return Failed("")
    return message


def _wait(cluster: Cluster, connection: Connection, log: Path) -> list[Node]:
    """Wait until a cluster reports its nodes."""
    patience = _PATIENCE if cluster.address else _START_PATIENCE
    answers = connection.poll(patience)
    message = _receive(connection) if answers else Failed(f"no answer came within {patience:.0f} seconds")
    if isinstance(message, list):
        return message
    output = log.read_text(errors="replace")
    if _AUTH_ERROR in output:
        raise unreachable(
            cluster, "it asks for a token, which Ray sends only where the environment has RAY_AUTH_MODE=token"
        )
    why = message.why if isinstance(message, Failed) else ""
    raise unreachable(cluster, why or output)


@contextmanager
def connect(cluster: Cluster, progress: Progress) -> Iterator[ClusterConnection]:
    """Connect to a cluster while the block lasts; a Ray that is started ends with it, however it ends.

    Raises:
        MachineError: The cluster does not answer, or does not start.
    """
    with progress.preparing("cluster"):
        check_reachable(cluster)
    with driving(cluster) as (connection, log):
        with progress.preparing("cluster"):
            nodes = _wait(cluster, connection, log)
        yield ClusterConnection(cluster, connection, nodes)


def text_of(path: AnyPath) -> str:
    """Text of a path for other machines, and for other current folders."""
    return str(path.absolute())


@contextmanager
def _marked(root: AnyPath) -> Iterator[str]:
    """Mark the data root while the block lasts, so that nodes can check that theirs is the same."""
    if storage_at(root).is_shared:
        yield ""
        return
    with make_temporary(storage_at(root).scratch_for(root) / "mark", folder=False) as mark:
        yield text_of(mark)
