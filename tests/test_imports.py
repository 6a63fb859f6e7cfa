"""Importing any module of the project only defines things."""

import json
import sys
from pathlib import Path

import pytest

from tests.support.processes import run

pytestmark = pytest.mark.slow

IMPORT = """
import importlib, pkgutil, sys
from contextlib import suppress

# As tasks.runtime.openvino_import has it: the package would start a thread.
sys.modules["openvino_telemetry"] = None

def import_project():
    for package in map(importlib.import_module, ("pipeline", "tasks")):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
"""
LIST_LIBRARIES = """
import_project()
print(json.dumps([name for name in sys.modules if name.partition(".")[0] not in ("pipeline", "tasks")]))
"""
COMPARE = """
import atexit, gc, logging, os, signal, threading, warnings

import luigi.worker
from luigi.cmdline_parser import CmdlineParser

def state():
    wakeup = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(wakeup)
    loggers = [logging.getLogger(name) for name in ("root", "luigi", "luigi-interface")]
    config = luigi.configuration.get_config()
    return {
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "wakeup file": wakeup,
        "Luigi's functions": [luigi.worker.Worker, luigi.interface._run, CmdlineParser.get_task_obj],
        "Luigi's handlers": str(luigi.Task._event_callbacks.get(luigi.Task)),
        "Luigi's settings": {name: dict(config.items(name, raw=True)) for name in config.sections()},
        "loggers": [(log.filters[:], log.handlers[:], log.propagate, log.level) for log in loggers],
        "functions at exit": [atexit._ncallbacks(), threading._threading_atexits[:]],
        "functions at fork": len(forks),
        "streams": [sys.stdin, sys.stdout, sys.stderr, *(os.fstat(number).st_ino for number in range(3))],
        "threads": threading.enumerate(),
        "hooks": [sys.excepthook, threading.excepthook, warnings.filters[:], gc.isenabled()],
        "environment": {name: value for name, value in os.environ.items() if not name.startswith("TF_")},
    }

forks = []
for name in json.loads(open(sys.argv[1]).read()):
    with suppress(Exception):
        importlib.import_module(name)
os.register_at_fork = lambda **functions: forks.append(functions)
before = state()
import_project()
after = state()
print(json.dumps([name for name in before if before[name] != after[name]]))
"""


def run_script(script: str, *arguments: object) -> list[str]:
    """Run a script in a process of its own; returns the list that it prints as JSON."""
    done = run([sys.executable, "-c", f"import json\n{IMPORT}\n{script}", *arguments])
    printed: list[str] = json.loads(done.check().output)
    return printed


def test_importing_every_module_changes_nothing_in_the_process(tmp_path: Path) -> None:
    (tmp_path / "libraries").write_text(json.dumps(run_script(LIST_LIBRARIES)))
    assert run_script(COMPARE, tmp_path / "libraries") == []
