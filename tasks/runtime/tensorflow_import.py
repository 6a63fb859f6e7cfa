"""TensorFlow, imported without the screen of log lines that it writes past Python to the terminal.

Import `tf`, `keras` and `freeze` (which makes a function's variables constants) from here, and this module only inside
a stage's `run`: it takes seconds. Whoever wants to see the lines sets TF_CPP_MIN_LOG_LEVEL, which is left alone then.
Memory of a GPU is taken as it is needed, unless TF_FORCE_GPU_ALLOW_GROWTH says otherwise.
"""

import gc
import os

from tasks.runtime.capture_stderr import capture_stderr

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
# All memory of a GPU is taken otherwise, also that of others.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")

if _LEVEL in os.environ:
    import keras
    import tensorflow as tf
else:
    # The level quietens what comes later, such as the search for a GPU; some lines of the import itself ignore it.
    os.environ[_LEVEL] = "3"
    # What an import makes stays: looking for garbage in it takes half a second of some four.
    gc.disable()
    with capture_stderr():
        import keras
        import tensorflow as tf
    gc.enable()

from tensorflow.python.framework.convert_to_constants import (  # noqa: E402 (below the import that it follows)
    convert_variables_to_constants_v2 as freeze,
)

__all__ = ["freeze", "keras", "tf"]
