"""The process that drives Ray, `tasks.cluster.driver`: its start and end, and the messages to and from it.

A process of its own, since Ray ends the process that drives it when a cluster is lost, writes to its standard error,
and replaces its signal handlers.
"""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pyarrow as pa

from tasks.cluster.actor import Job
from tasks.cluster.addresses import Cluster
from tasks.cluster.resources import Node, Pool
from tasks.hardware import available_cores

#: Seconds that Ray may take to end.
_END_PATIENCE = 20.0
#: Most bytes of a folder's path: Ray creates sockets in it, whose own paths have at most 107.
_LONGEST_FOLDER = 40


class ClusterTask(NamedTuple):
    """Message to the process: the blocks to process, in the order in which they are begun."""

    job: Job
    blocks: list[pa.Table]
    pool: Pool


class Failed(NamedTuple):
    """Message of the process: the cluster cannot be used, or no longer, for a reason in Ray's words."""

    why: str


#: Messages of the process: the nodes of the cluster, the pickled result or `Failure` of a block, and the end, which is
#: None if all blocks are done.
Message: TypeAlias = list[Node] | bytes | Failed | None


@contextmanager
def driving(cluster: Cluster) -> Iterator[tuple[Connection, Path]]:
    """Run the process while the block lasts; then it is gone, with all processes that it started.

    Yields:
        The connection to it, and the file of its and Ray's output.
    """
    ours, theirs = Pipe()
    folder = _make_folder()
    output = folder / "log"
    try:
        cpus = str(cluster.cpus or available_cores())
        with output.open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 (our own)
                [sys.executable, "-m", "tasks.cluster.driver", str(theirs.fileno()), cluster.address, cpus, folder],
                # Ends with this process, even if it is killed.
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=[theirs.fileno()],
                # Ctrl-C is for this process only, and all its processes are one group.
                start_new_session=True,
                env={**os.environ, **_environment(cluster)},
            )
        theirs.close()
        try:
            yield ours, output
        finally:
            _end(process)
    finally:
        ours.close()
        shutil.rmtree(folder, ignore_errors=True)


def _environment(cluster: Cluster) -> dict[str, str]:
    changes = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "RAY_USAGE_STATS_ENABLED": "0"}
    if cluster.address or "RAY_AUTH_MODE" in os.environ:
        return changes
    # Keep other users of this machine out of a Ray that starts here. Ray would keep a token in the user's home.
    return {**changes, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Let the process end Ray and itself; then kill the rest of its group."""
    if process.stdin is not None:
        process.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_END_PATIENCE)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _make_folder() -> Path:
    """Make a folder for Ray's files, with a path that is short enough for its sockets."""
    usual = tempfile.gettempdir()
    short = len(os.fsencode(usual)) <= _LONGEST_FOLDER - len("/ray-12345678")
    return Path(tempfile.mkdtemp(prefix="ray-", dir=usual if short else "/tmp"))  # noqa: S108 (of a random name)
