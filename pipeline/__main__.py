"""`python -m pipeline`: what a person asks of the data root, beside the runs that Luigi starts."""

import signal
import sys
from types import FrameType


def _stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 (Python gives both)
    """End on SIGTERM by an exception, so that what is half written is removed on the way out."""
    sys.exit(128 + number)  # as shells have it


signal.signal(signal.SIGTERM, _stop)
try:
    from pipeline.cli import app

    app(prog_name="python -m pipeline")
except KeyboardInterrupt:
    sys.exit(128 + signal.SIGINT)
