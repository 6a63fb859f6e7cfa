"""Closed standard streams are reopened, so that no output ends in a file of the program."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

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
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {redirections}', "sh", sys.executable, "-c", SCRIPT, str(tmp_path / "file")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "file").read_bytes() == b"data"
    assert (b"printed" in done.stdout) == (1 not in closed)
