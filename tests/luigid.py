"""A real `luigid`, and commands that it gives work to, each as if on a machine of its own."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.background import Command, begin, until

_STARTED = 30.0
#: Of a worker that asks for work several times a second, where Luigi's lets seconds pass.
_CONFIG = "[core]\nlocal_scheduler={}\n[worker]\nwait_interval=0.2\nwait_jitter=0\n"
#: The `luigi` program on a machine of some name, with GPUs where the folder has device files of some, and with a minute
#: of waiting for a machine that is gone made shorter.
_MACHINE = """
import socket, sys
from pathlib import Path

from luigi.cmdline import luigi_run
from tasks import gpus
from tasks.artifacts import leases

host, devices, lease, *words = sys.argv[1:]
socket.gethostname = leases._machine = lambda: host
gpus.DEVICES = Path(devices)
leases.EXPIRED, leases.RENEWED = float(lease), float(lease) / 6
luigi_run(words)
"""


@contextmanager
def luigid(folder: Path, **settings: float) -> Iterator[int]:
    """Start it on a free port, which it answers on when this has it; it is gone afterwards.

    Args:
        folder: Of its own.
        settings: Of its section `[scheduler]`.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    folder.mkdir(exist_ok=True)
    lines = [f"{name}={value}" for name, value in settings.items()]
    (folder / "luigi.cfg").write_text("\n".join(["[scheduler]", *lines, ""]))
    command = [str(Path(sys.executable).with_name("luigid")), "--address", "127.0.0.1", "--port", f"{port}"]
    with subprocess.Popen(
        [*command, "--state-path", str(folder / "state.pickle")],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            until(lambda: _answers(port), _STARTED)
            yield port
        finally:
            process.terminate()


@dataclass(frozen=True)
class Machine:
    """One that commands run on.

    Args:
        name: Its name.
        folder: Of the test, for what commands write and for the file that tells Luigi of luigid.
        port: Where luigid answers; none for Luigi's own scheduler.
        gpus: How many it has.
        lease: Seconds after which a machine that is gone holds nothing on an object store.
    """

    name: str
    folder: Path
    port: int | None
    gpus: int = 0
    lease: float = 60.0

    @contextmanager
    def start(self, *words: object, **environment: str) -> Iterator[Command]:
        """Run a `luigi` command with all its processes in a session; what is left of it at the end is killed."""
        devices = self.folder / f"{self.name}-dev"
        devices.mkdir(exist_ok=True)
        for number in range(self.gpus):
            (devices / f"nvidia{number}").touch()
        config = self.folder / "worker.cfg"
        config.write_text(_CONFIG.format(str(self.port is None).lower()))
        given = [] if self.port is None else ["--scheduler-port", f"{self.port}"]
        command = begin(
            [sys.executable, "-c", _MACHINE, self.name, str(devices), f"{self.lease}", *map(str, words), *given],
            self.folder,
            {**os.environ, "LUIGI_CONFIG_PATH": str(config), **environment},
        )
        with command.process:
            try:
                yield command
            finally:
                command.kill()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
