"""Captures log lines that native libraries write to standard error, which cron would mail."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from tasks.errors import PipelineError


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
