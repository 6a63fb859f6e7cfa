"""What other people's files have in common: what is raised where they are damaged, and the shape of their input."""

import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tasks.errors import BackboneError
from tasks.runtime.tensorflow_import import tf

#: What Keras and TensorFlow raise on a file that is damaged, or holds another network than it should.
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
    """Make an error of what Keras only warns of: that it leaves some layers as they are, without their weights.

    Raises:
        ValueError: It did.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield
    for warning in caught:
        if str(warning.message).startswith("Skipping nested container"):
            raise ValueError(str(warning.message))


def first_line(exc: BaseException) -> str:
    """The first line of an error, for use within a sentence."""
    return str(exc).partition("\n")[0].rstrip(" .:")


def input_size(path: Path, shape: Sequence[int | None]) -> int | None:
    """Tell in which size a network wants its pixels.

    Args:
        path: The network's file or folder.
        shape: Of its input: photos, height, width, channels; None where it is open.

    Returns:
        Height and width in pixels; None where they are open.

    Raises:
        BackboneError: It takes something else than a batch of square RGB photos.
    """
    if len(shape) != 4 or shape[0] is not None or shape[3] != 3 or shape[1] != shape[2]:
        raise BackboneError(
            f"{path} takes an input of shape {_written(shape)}, but [None, size, size, 3] is needed: any number of "
            "square photos in RGB. Export it with such an input."
        )
    return shape[1]


def _written(shape: Sequence[int | None]) -> str:
    return f"[{', '.join(map(str, shape))}]"
