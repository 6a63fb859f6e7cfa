"""Standard streams: closed ones are reopened, and log lines of native libraries are captured, which cron would mail."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from tasks.errors import PipelineError


def reopen_closed_streams() -> None:
    """Open each standard stream that is closed (`>&-`) on the null device.

    Else the next file that the program opens gets the descriptor of the closed stream, and libraries print into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The system opens the lowest free descriptor, which is this one.
            os.open(os.devnull, os.O_RDWR)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 (open until the end)


@contextmanager
def capture_stderr() -> Iterator[None]:
    """Capture all that the process writes to its standard error in the block.

    It is written out if the block fails, except where a `PipelineError` says all or the user stopped the program.
    """
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield
        except (KeyboardInterrupt, PipelineError, SystemExit):
            raise
        except BaseException:
            captured.seek(0)
            os.write(original, captured.read())
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)
