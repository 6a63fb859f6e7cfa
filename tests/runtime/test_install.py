"""The runtime of Luigi's program: what it sets for libraries that are imported later."""

import os
import sys

import pytest

from tests.support.processes import run

SCRIPT = """
import os, sys
from tasks.runtime.install import install
install()
print(os.environ["OPENBLAS_THREAD_TIMEOUT"], "numpy" in sys.modules)
"""


@pytest.mark.parametrize(("given", "found"), [({}, "14"), ({"OPENBLAS_THREAD_TIMEOUT": "20"}, "20")])
def test_idle_threads_of_openblas_soon_sleep_unless_the_user_sets_otherwise(given: dict[str, str], found: str) -> None:
    others = {name: value for name, value in os.environ.items() if name != "OPENBLAS_THREAD_TIMEOUT"}
    done = run([sys.executable, "-c", SCRIPT], {**others, **given}).check()
    assert done.output.split() == [found, "False"]
