"""A real `luigid`, and commands that it schedules, each as if on a machine of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import Command, background_command, read_line, running, write_line

#: The `luigid` program on a port that the system assigns, which it writes. Each line of standard input changes one of
#: its settings while it runs, and is answered.
_LUIGID = """
import os, sys, threading

import luigi.server
import tornado.netutil
from luigi.cmdline import luigid

class Scheduler(luigi.server.Scheduler):
    def __init__(self):
        super().__init__()
        threading.Thread(target=self.follow, daemon=True).start()

    def follow(self):
        for line in sys.stdin:
            name, value = line.split("=")
            setattr(self._config, name, float(value))
            print(line, end="", flush=True)
        # The process that started this one has ended.
        os._exit(1)

def bind(port, **options):
    sockets = bind_sockets(port, **options)
    print(sockets[0].getsockname()[1], flush=True)
    return sockets

luigi.server.Scheduler = Scheduler
bind_sockets, tornado.netutil.bind_sockets = tornado.netutil.bind_sockets, bind
luigid(sys.argv[1:])
"""
#: Settings of a worker that asks for work several times a second; by default seconds pass.
_CONFIG = "[core]\nlocal_scheduler={}\n[worker]\nwait_interval=0.2\nwait_jitter=0\n"
#: The `luigi` program on a machine of some name, with GPUs where the folder has device files of some, and with a minute
#: of waiting for a machine that is gone made shorter.
_MACHINE = """
import socket, sys
from pathlib import Path

from luigi import cmdline
from tasks import hardware
from tasks.runtime.install import install
from tasks.storage import leases

host, devices, lease, *words = sys.argv[1:]
socket.gethostname = leases._machine = lambda: host
hardware.DEVICES = Path(devices)
leases.EXPIRY_SECONDS, leases.RENEWAL_SECONDS = float(lease), float(lease) / 6
install()
cmdline.luigi_run(words)
"""


@dataclass(frozen=True)
class Luigid:
    """A running `luigid`."""

    process: subprocess.Popen[str]
    port: int

    def change(self, name: str, value: float) -> None:
        """Change a setting of the section `[scheduler]`; it is in force when this returns."""
        write_line(self.process, f"{name}={value}")
        assert read_line(self.process) == f"{name}={value}\n"


@contextmanager
def luigid(folder: Path, **settings: float) -> Iterator[Luigid]:
    """Start `luigid` on a free port in a folder, with settings of `[scheduler]`; it is killed at the end."""
    folder.mkdir(exist_ok=True)
    lines = [f"{name}={value}" for name, value in settings.items()]
    (folder / "luigi.cfg").write_text("\n".join(["[scheduler]", *lines, ""]))
    words = [sys.executable, "-c", _LUIGID, "--address", "127.0.0.1", "--port", "0"]
    words += ["--state-path", str(folder / "state.pickle")]
    with running(words, stderr=subprocess.DEVNULL, folder=folder) as process:
        yield Luigid(process, int(read_line(process)))


@dataclass(frozen=True)
class Machine:
    """A machine that commands run on."""

    name: str  #: Name of the machine.
    folder: Path  #: Folder for the output of commands and for Luigi's configuration.
    port: int | None  #: Port of luigid; None is Luigi's own scheduler.
    gpus: int = 0  #: Number of GPUs.
    lease: float = 60.0  #: Seconds after which leases of a machine that is gone expire.

    @contextmanager
    def start(self, *words: object, **environment: str) -> Iterator[Command]:
        """Run a `luigi` command; its processes that are left at the end are killed."""
        devices = self.folder / f"{self.name}-dev"
        devices.mkdir(exist_ok=True)
        for number in range(self.gpus):
            (devices / f"nvidia{number}").touch()
        config = self.folder / f"worker-{self.port}.cfg"
        # Not anew each time: another command may be reading it.
        if not config.exists():
            config.write_text(_CONFIG.format(str(self.port is None).lower()))
        given = [] if self.port is None else ["--scheduler-port", f"{self.port}"]
        command_words = [sys.executable, "-c", _MACHINE, self.name, devices, self.lease, *words, *given]
        environment = {**os.environ, "LUIGI_CONFIG_PATH": str(config), **environment}
        with background_command(command_words, self.folder, environment) as command:
            yield command
