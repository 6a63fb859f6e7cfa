"""Exit hooks run once, in the process that added them, whatever they raise."""

import sys

import pytest

from tests.support.processes import Finished, run

SCRIPT = """
import os, sys
from functools import partial
from tasks.runtime.exit_hooks import add_exit_hook, remove_exit_hook, run_exit_hooks

def report(name):
    print(name, os.getpid() == process, flush=True)

def fail():
    raise OSError("away")

process, removed = os.getpid(), partial(report, "removed")
add_exit_hook(removed)
add_exit_hook(fail, on_signal=True)
add_exit_hook(partial(report, "lease"), on_signal=True)
add_exit_hook(partial(report, "scratch"))
remove_exit_hook(removed)
remove_exit_hook(removed)
child = os.fork()
if child:
    os.waitpid(child, 0)
if child and sys.argv[1] == "signal":
    run_exit_hooks(on_signal=True)
    os._exit(143)
"""
ADD_IN_WORKER = """
import concurrent.futures.thread, multiprocessing
from tasks.runtime.exit_hooks import add_exit_hook

def start_thread():
    print(pool.submit(str, "pools still work").result(), flush=True)

def work():
    global pool
    pool = concurrent.futures.ThreadPoolExecutor(1)
    add_exit_hook(start_thread)

process = multiprocessing.get_context("fork").Process(target=work)
process.start()
process.join()
work()
"""


@pytest.mark.parametrize(("end", "code", "names"), [("exit", 0, ["lease", "scratch"]), ("signal", 143, ["lease"])])
def test_hooks_run_in_their_order_and_not_in_a_fork(end: str, code: int, names: list[str]) -> None:
    printed = "".join(f"{name} True\n" for name in names)
    assert run([sys.executable, "-c", SCRIPT, end]) == Finished(code, printed, "")


def test_hooks_of_a_worker_and_of_the_program_run_before_pools_of_threads_end() -> None:
    assert run([sys.executable, "-c", ADD_IN_WORKER]) == Finished(0, "pools still work\n" * 2, "")
