"""Imports TensorFlow without the log lines that its native code writes to the terminal.

Import `tf`, `keras` and `freeze` (which turns a function's variables into constants) from here, and import this module
only in a stage's `work`, because it takes seconds. The import sets two environment variables, unless they are set:

    TF_CPP_MIN_LOG_LEVEL=3              no log lines, such as those of the search for a GPU; set it to see them
    TF_FORCE_GPU_ALLOW_GROWTH=true      memory of a GPU is allocated as needed, else all of it at once
"""

import gc
import os

from tasks.runtime.standard_streams import capture_stderr

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")

if _LEVEL in os.environ:
    import keras
    import tensorflow as tf
else:
    os.environ[_LEVEL] = "3"
    # Collecting garbage takes half a second of the import's four and finds none.
    gc.disable()
    # Some lines of the import ignore the level.
    with capture_stderr():
        import keras
        import tensorflow as tf
    gc.enable()

from tensorflow.python.framework.convert_to_constants import (  # noqa: E402 (after the quiet import)
    convert_variables_to_constants_v2 as freeze,
)

__all__ = ["freeze", "keras", "tf"]
