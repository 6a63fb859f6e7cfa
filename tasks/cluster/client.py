"""Has blocks done on a cluster, and says in a sentence where that comes to nothing."""

import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa

from tasks.cluster.actor import ActorLocation, Failure, Work
from tasks.cluster.addresses import Cluster, check_reachable, last_line, unreachable
from tasks.cluster.driver_process import driving
from tasks.cluster.messages import BlockResult, ClusterTask, Failed, Finished, Ready
from tasks.cluster.resources import Node, Pool, fit
from tasks.errors import MachineError
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.storage.files import storage_at
from tasks.storage.tempfiles import marking

#: Seconds until a cluster says what it has, and one of this machine, which may be busy.
_PATIENCE, _START_PATIENCE = 45.0, 300.0
#: What Ray says where an actor cannot be made, since its class or what it is given cannot be read on the node.
_NOT_MADE = "error raised in its creation task"
#: What Ray says where a cluster wants to know who asks.
_NOT_KNOWN = "InvalidAuthToken"

Message: TypeAlias = Ready | BlockResult | Failed | Finished


@dataclass(frozen=True)
class Job:
    """What is to be done with blocks.

    Args:
        stage: For which stage.
        root: The data root, which all nodes see.
        work: The work: a value that can be pickled, of a class that the nodes have too.
    """

    stage: str
    root: AnyPath
    work: Work


class Connected:
    """A cluster that answers.

    Args:
        cluster: Which.
        connection: To the program that drives it.
        nodes: Its machines.
    """

    def __init__(self, cluster: Cluster, connection: Connection, nodes: Sequence[Node]) -> None:
        self._cluster, self._connection, self._nodes = cluster, connection, nodes

    def room(self, most_cpus: int, gpus: float, progress: Progress) -> Pool:
        """How many actors there is room for; see `fit`. A cluster without room for any may get some yet.

        Raises:
            MachineError: This machine has none, and never will.
        """
        pool = fit(self._nodes, most_cpus, gpus)
        if not pool.actors:
            of = f"{gpus:g} GPUs and a processor" if gpus else "a processor"
            if not self._cluster.address:
                raise MachineError(f"Ray finds no room on this machine for an actor with {of}: ask for fewer.")
            progress.tell(f"No node of the {self._cluster} has room for an actor with {of}: waiting for one that has.")
        return pool

    def results(self, job: Job, blocks: Sequence[pa.Table], pool: Pool) -> Iterator[Any]:
        """Have blocks done, once.

        Args:
            job: What to do with them.
            blocks: The blocks.
            pool: By how many actors of which size.

        Yields:
            What came of each block, in whichever order.

        Raises:
            MachineError: The cluster is lost, or its nodes cannot do the work.
            Exception: What the work raised.
        """
        with _marked(job.root) as mark:
            place = ActorLocation(job.stage, text_of(job.root), mark, pool.cpus, pool.gpus)
            # A program that has ended meanwhile is found out below.
            with suppress(ConnectionError):
                self._connection.send(ClusterTask(job.work, place, list(blocks), pool))
            while isinstance(message := _receive(self._connection), BlockResult):
                outcome = pickle.loads(message.pickled)  # noqa: S301 (of our own program)
                if isinstance(outcome, Failure):
                    raise outcome.error
                yield outcome
        if not isinstance(message, Finished):
            raise self._lost(message.why if isinstance(message, Failed) else "it does not answer any more")

    def _lost(self, why: str) -> MachineError:
        if _NOT_MADE in why:
            return MachineError(
                f"The nodes of the {self._cluster} cannot begin the work ({last_line(why)}). They need this project, "
                "in the same version as this machine: install it on all of them, and run again."
            )
        return MachineError(
            f"The {self._cluster} is lost ({last_line(why)}). What was published is kept; run again to go on from "
            "there."
        )


def _receive(connection: Connection) -> Message | None:
    """The next message; None where the program has ended, as Ray ends whoever drives it where nothing is left."""
    try:
        message: Message = connection.recv()
    except (EOFError, ConnectionError):
        return None
    return message


def _wait(cluster: Cluster, connection: Connection, log: Path) -> list[Node]:
    """Wait until a cluster says what it has.

    Raises:
        MachineError: It does not.
    """
    patience = _PATIENCE if cluster.address else _START_PATIENCE
    message = (
        _receive(connection) if connection.poll(patience) else Failed(f"no answer came within {patience:.0f} seconds")
    )
    if isinstance(message, Ready):
        return message.nodes
    told = log.read_text(errors="replace")
    if _NOT_KNOWN in told:
        raise unreachable(
            cluster, "it asks for a token, which Ray sends only where the environment has RAY_AUTH_MODE=token"
        )
    raise unreachable(cluster, message.why if isinstance(message, Failed) else told)


@contextmanager
def connected(cluster: Cluster, progress: Progress) -> Iterator[Connected]:
    """Connect to a cluster for as long as the block lasts; one that is started ends with it, however it ends.

    Raises:
        MachineError: The cluster does not answer, or does not start.
    """
    with progress.preparing("cluster"):
        check_reachable(cluster)
    with driving(cluster) as (connection, log):
        with progress.preparing("cluster"):
            nodes = _wait(cluster, connection, log)
        yield Connected(cluster, connection, nodes)


def text_of(path: AnyPath) -> str:
    """A path as it is understood on other machines, and in other folders of this one."""
    return str(path.absolute())


@contextmanager
def _marked(root: AnyPath) -> Iterator[str]:
    """Let nodes see for as long as the block lasts whether their data root is this one."""
    if storage_at(root).is_shared:
        yield ""
        return
    with marking(storage_at(root).scratch_for(root)) as mark:
        yield text_of(mark)
