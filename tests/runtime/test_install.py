"""The runtime of Luigi's program: what it sets for libraries that are imported later."""

import gc
import os
import sys

import pytest

from tests.support.processes import run

SCRIPT = """
import gc, os, sys
from tasks.runtime.install import install
install()
print(os.environ["OPENBLAS_THREAD_TIMEOUT"], "numpy" in sys.modules, gc.isenabled() and gc.get_threshold()[0])
"""


@pytest.mark.parametrize(("given", "found"), [({}, "14"), ({"OPENBLAS_THREAD_TIMEOUT": "20"}, "20")])
def test_idle_threads_of_openblas_soon_sleep_and_the_garbage_collector_runs_less_often(
    given: dict[str, str], found: str
) -> None:
    others = {name: value for name, value in os.environ.items() if name != "OPENBLAS_THREAD_TIMEOUT"}
    done = run([sys.executable, "-c", SCRIPT], {**others, **given}).check()
    timeout, numpy_imported, threshold = done.output.split()
    assert (timeout, numpy_imported) == (found, "False")
    assert int(threshold) > gc.get_threshold()[0], "Python's own, for which the collector runs hundreds of times"
