"""`python -m pipeline`: what a person asks of the data root, beside the runs that Luigi starts."""

import signal
import sys
from types import FrameType


def _stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 (Python gives both)
    """End on SIGTERM by an exception, so that what is half written is removed on the way out."""
    sys.exit(128 + number)  # as shells have it


signal.signal(signal.SIGTERM, _stop)
try:
    from pipeline.cli.app import run

    run(sys.argv[1:])
except KeyboardInterrupt:
    sys.exit(128 + signal.SIGINT)
