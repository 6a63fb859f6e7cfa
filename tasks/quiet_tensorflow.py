"""TensorFlow, imported without the screen of log lines that it writes past Python to the terminal.

Import `tf`, `keras` and `freeze` (which makes a function's variables constants) from here, and this module only inside
a stage's `run`: it takes seconds. Whoever wants to see the lines sets TF_CPP_MIN_LOG_LEVEL, which is left alone then.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


@contextmanager
def _hushed() -> Iterator[None]:
    """Hold back what the process writes to its standard error; show it after all if the block fails."""
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(original, held.read())
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)


if _LEVEL in os.environ:
    import keras
    import tensorflow as tf
else:
    # The level quietens what comes later, such as the search for a GPU; some lines of the import itself ignore it.
    os.environ[_LEVEL] = "3"
    with _hushed():
        import keras
        import tensorflow as tf

from tensorflow.python.framework.convert_to_constants import (  # noqa: E402 (below the import that it follows)
    convert_variables_to_constants_v2 as freeze,
)

__all__ = ["freeze", "keras", "tf"]
