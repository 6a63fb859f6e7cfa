"""The program that drives Ray: how it is started, and how it ends."""

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

from tasks.cluster.addresses import Cluster
from tasks.cluster.messages import Address
from tasks.hardware import available_cores

#: What it writes, and Ray in it.
LOG = "log"
#: Seconds that Ray may take to end.
_END_PATIENCE = 20.0
#: Bytes of a folder's path at most: Ray puts sockets into it, whose own paths have 107.
_LONGEST_FOLDER = 40


@contextmanager
def driving(cluster: Cluster) -> Iterator[tuple[Connection, Path]]:
    """Start the program; at the end it is gone, with all that it has started.

    Yields:
        The connection to it, and the file that it writes to.
    """
    ours, theirs = Pipe()
    folder = _folder()
    try:
        with (folder / LOG).open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 (our own)
                [sys.executable, "-m", "tasks.cluster.driver", str(theirs.fileno())],
                # Ends when we do, even if we are killed.
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=[theirs.fileno()],
                # Ctrl-C is for us; and all that it starts is one group.
                start_new_session=True,
                env={**os.environ, **_environment(cluster)},
            )
        theirs.close()
        try:
            # One that has ended already is found out by whoever waits for it.
            with suppress(BrokenPipeError):
                ours.send(Address(cluster.address, cluster.cpus or available_cores(), str(folder)))
            yield ours, folder / LOG
        finally:
            _end(process)
    finally:
        ours.close()
        shutil.rmtree(folder, ignore_errors=True)


def _environment(cluster: Cluster) -> dict[str, str]:
    """What the program finds in its environment beside what we do."""
    found = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "RAY_USAGE_STATS_ENABLED": "0"}
    if cluster.address or "RAY_AUTH_MODE" in os.environ:
        return found
    # What starts here is for nobody else of this machine. Ray would keep a token in the user's home.
    return {**found, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Let the program end Ray and itself; what is left of its group then is killed."""
    if process.stdin is not None:
        process.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_END_PATIENCE)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _folder() -> Path:
    """Make a folder for what Ray writes."""
    usual = tempfile.gettempdir()
    # Ray's sockets have too long a path else.
    short = len(os.fsencode(usual)) <= _LONGEST_FOLDER - len("/ray-12345678")
    return Path(tempfile.mkdtemp(prefix="ray-", dir=usual if short else "/tmp"))  # noqa: S108 (of a random name)
