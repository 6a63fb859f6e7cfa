"""What a process does as its last act: once, by itself, and whatever an act raises."""

import subprocess
import sys

from tests.support.processes import TIMEOUT

SCRIPT = """
import os
from functools import partial
from tasks.runtime.exit_hooks import add_exit_hook, remove_exit_hook, run_exit_hooks

def say(what):
    print(what, os.getpid() == process, flush=True)

def fail():
    raise OSError("away")

process, taken_back = os.getpid(), partial(say, "taken back")
add_exit_hook(taken_back)
add_exit_hook(fail, on_signal=True)
add_exit_hook(partial(say, "lease"), on_signal=True)
add_exit_hook(partial(say, "scratch"))
remove_exit_hook(taken_back)
remove_exit_hook(taken_back)
child = os.fork()
if child:
    os.waitpid(child, 0)
if child and STOPPED:
    run_exit_hooks(on_signal=True)
    os._exit(143)
"""


def said(*, stopped: bool) -> tuple[int, list[str]]:
    """The exit code and the lines of a process that ends by itself, or by a signal, and has forked another one."""
    script = SCRIPT.replace("STOPPED", str(stopped))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=TIMEOUT)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def test_a_process_that_ends_does_all_in_the_order_of_asking_and_its_child_nothing() -> None:
    assert said(stopped=False) == (0, ["lease True", "scratch True"])


def test_a_process_that_a_signal_ends_does_what_others_wait_for() -> None:
    assert said(stopped=True) == (143, ["lease True"])
