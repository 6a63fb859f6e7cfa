"""Limits of a worker process's time and memory."""

import resource
import signal
import sys

import pytest

from tasks.decode.resource_limits import limited
from tests.support.processes import run

RUN = """
import signal, sys, time
from tasks.decode import resource_limits
resource_limits.CPU_SECONDS = 0.2
resource_limits.enable_limits()

def spin(seconds=60.0):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
"""


def output_of(code: str) -> str:
    """Run code in a process of its own, whose limits are on and which may die; returns its output."""
    return run([sys.executable, "-c", RUN + code]).output


def test_a_block_that_takes_too_long_is_ended_even_if_it_catches_every_exception() -> None:
    code = """
try:
    with resource_limits.limited(10):
        try:
            spin()
        except Exception:
            spin()
except resource_limits.TimeUpError:
    print(time.process_time() < 10)
"""
    assert output_of(code) == "True\n"


def test_a_block_in_time_leaves_nothing_behind_and_the_next_one_has_all_its_time() -> None:
    code = """
for _ in range(3):
    with resource_limits.limited(10):
        spin(0.1)
        time.sleep(0.25)  # wall-clock time does not count
spin(0.25)
print(signal.getitimer(signal.ITIMER_PROF), signal.getitimer(signal.ITIMER_VIRTUAL))
"""
    assert output_of(code) == "(0.0, 0.0) (0.0, 0.0)\n"


@pytest.mark.skipif(sys.platform != "linux", reason="this system does not limit memory in this way")
def test_a_block_that_needs_too_much_memory_gets_an_error_and_one_that_does_not_goes_on() -> None:
    code = """
resource_limits.CPU_SECONDS, resource_limits.BASE_BYTES = 60.0, 2**27
with resource_limits.limited(10):
    bytearray(2**25)
    try:
        bytearray(2**27 + 2**20)
    except MemoryError:
        print("refused")
with resource_limits.limited(10**7):
    print(len(bytearray(2**27 + 2**20)))
"""
    assert output_of(code) == f"refused\n{2**27 + 2**20}\n"


def test_a_process_that_did_not_enable_limits_has_none() -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with limited(0):
        assert resource.getrlimit(resource.RLIMIT_DATA) == before
        assert signal.getitimer(signal.ITIMER_PROF) == signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)
