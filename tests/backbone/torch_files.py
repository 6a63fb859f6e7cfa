"""Files in PyTorch's legacy format, written opcode by opcode."""

import pickle
import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np

#: As torch/serialization.py has them.
MAGIC_NUMBER, PROTOCOL_VERSION = 0x1950A86A20F9469CFC6C, 1001
MACHINE = {"protocol_version": PROTOCOL_VERSION, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
ORDERED_DICT = b"ccollections\nOrderedDict\n"
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"
START, STOP = b"\x80\x02", b"."


class Window(NamedTuple):
    """A tensor to be pickled: a window onto a storage."""

    storage: str
    length: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 0
    kind: bytes = b"torch\nFloatStorage\n"


def code(value: object) -> bytes:
    """The opcodes that push a plain value."""
    return pickle.dumps(value, 2)[2:-1]


def tensor(window: Window) -> bytes:
    """The opcodes that push a tensor as torch pickles it."""
    storage = code("storage") + b"c" + window.kind + code(window.storage) + code("cpu") + code(window.length)
    place = code(window.offset) + code(window.shape) + code(window.strides) + code(False) + ORDERED_DICT + b")R"
    return REBUILD + b"((" + storage + code(None) + b"tQ" + place + b"tR"


def state_dict(tensors: dict[str, Window]) -> bytes:
    items = b"".join(code(name) + tensor(window) for name, window in tensors.items())
    return START + ORDERED_DICT + b")R(" + items + b"u" + STOP


def storage_of(values: list[float], dtype: str = "<f4") -> bytes:
    """A storage as it follows the pickles: its length and its raw values."""
    return struct.pack("<q", len(values)) + np.array(values, dtype).tobytes()


def pickles(state: bytes, keys: list[str]) -> list[bytes]:
    plain = (pickle.dumps(value, 2) for value in (MAGIC_NUMBER, PROTOCOL_VERSION, MACHINE))
    return [*plain, state, pickle.dumps(keys, 2)]


def small_parts() -> list[bytes]:
    """A whole file of two tensors that share no storage: its five pickles and its storages."""
    windows = {
        "weight": Window("7", 6, (2, 3), (3, 1)),
        "count": Window("8", 1, (), (), kind=b"torch\nLongStorage\n"),
    }
    storages = storage_of([0, 1, 2, 3, 4, 5]) + storage_of([9], "<i8")
    return [*pickles(state_dict(windows), ["7", "8"]), storages]


def write(folder: Path, *parts: bytes) -> Path:
    path = folder / "weights.pth"
    path.write_bytes(b"".join(parts))
    return path
