"""Errors of damaged model files, and the check of a model's input shape."""

import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tasks.errors import BackboneError
from tasks.runtime.tensorflow_import import tf

#: Errors that Keras and TensorFlow raise on a file that is damaged or of another network.
UNREADABLE = (
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    tf.errors.OpError,
    zipfile.BadZipFile,
)


@contextmanager
def strictly() -> Iterator[None]:
    """Raise a ValueError where Keras only warns that it leaves some layers without their weights."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield
    for warning in caught:
        if str(warning.message).startswith("Skipping nested container"):
            raise ValueError(str(warning.message))


def first_line(exc: BaseException) -> str:
    """Return the first line of an error, for use within a sentence."""
    return str(exc).partition("\n")[0].rstrip(" .:")


def input_size(path: Path, shape: Sequence[int | None]) -> int | None:
    """Read the height and width of a network's input in pixels from its shape; None where they are open.

    Raises:
        BackboneError: It takes something other than a batch of square RGB photos.
    """
    if len(shape) != 4 or shape[0] is not None or shape[3] != 3 or shape[1] != shape[2]:
        raise BackboneError(
            f"{path} takes an input of shape [{', '.join(map(str, shape))}], but [None, size, size, 3] is needed: any "
            "number of square photos in RGB. Export it with such an input."
        )
    return shape[1]
