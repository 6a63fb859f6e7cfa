"""Closed standard streams are reopened, and log lines of native code are captured unless they explain a failure."""

import os
import sys
from pathlib import Path

import pytest

from tasks.errors import BackboneError
from tasks.runtime.standard_streams import capture_stderr
from tests.support.processes import run

SCRIPT = """
import os, sys
from tasks.runtime.standard_streams import reopen_closed_streams
reopen_closed_streams()
os.write(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT), b"data")
os.write(1, b"printed")
print("printed", file=sys.stderr)
print("printed")
sys.stdin.read()
"""


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_output_does_not_go_into_a_file_that_the_program_opens(tmp_path: Path, closed: tuple[int, ...]) -> None:
    redirections = " ".join(f"{number}>&-" for number in closed)
    command = ["/bin/sh", "-c", f'exec "$@" {redirections}', "sh", sys.executable, "-c", SCRIPT, tmp_path / "file"]
    done = run(command, {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    assert done.code == 0, done.errors
    assert (tmp_path / "file").read_bytes() == b"data"
    assert ("printed" in done.output) == (1 not in closed)


def test_lines_are_captured_in_the_block_alone(capfd: pytest.CaptureFixture[str]) -> None:
    with capture_stderr():
        os.write(2, b"I0000 delegate created\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


@pytest.mark.parametrize(
    ("error", "shown"), [(ValueError("failed"), "F0000 the cause\n"), (BackboneError("Give another one."), "")]
)
def test_lines_are_written_out_for_errors_other_than_the_users(
    capfd: pytest.CaptureFixture[str], error: Exception, shown: str
) -> None:
    def fail() -> None:
        os.write(2, b"F0000 the cause\n")
        raise error

    with pytest.raises(type(error)), capture_stderr():
        fail()
    assert capfd.readouterr().err == shown
