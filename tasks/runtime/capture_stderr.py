"""Holds back the log lines that libraries write past Python to the terminal, which cron would mail."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from tasks.errors import PipelineError


@contextmanager
def capture_stderr() -> Iterator[None]:
    """Hold back what the process writes to its standard error.

    Where the block fails it is shown after all, unless the error is one whose sentence says everything, or somebody
    stopped it.
    """
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except (KeyboardInterrupt, PipelineError, SystemExit):
            raise
        except BaseException:
            held.seek(0)
            os.write(original, held.read())
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)
