"""The command line `python -m pipeline`, beside the runs that Luigi starts."""

import signal
import sys
from types import FrameType

from tasks.runtime.luigi_settings import set_defaults
from tasks.runtime.standard_streams import reopen_closed_streams


def _stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 (Python gives both)
    """End on SIGTERM by an exception, which removes temporary files on its way."""
    sys.exit(128 + number)  # the exit code of shells


signal.signal(signal.SIGTERM, _stop)
reopen_closed_streams()
set_defaults()
try:
    from pipeline.cli.app import run

    run(sys.argv[1:])
except KeyboardInterrupt:
    sys.exit(128 + signal.SIGINT)
