"""Unpickles plain values and the few names that a caller allows.

Python's documentation gives the recipe: https://docs.python.org/3/library/pickle.html#restricting-globals. The opcodes
are checked before, because an unpickler allocates the memory that some of them claim.
"""

import io
import pickle
import pickletools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

#: Opcodes in one pickle. The largest in the catalog, the state dict of an EfficientNet-Lite, has 14,000.
MAX_OPCODES = 100_000
#: PyTorch writes no others.
_OPCODES = frozenset(
    {
        *("PROTO", "STOP", "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE"),
        *("EMPTY_TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "MARK", "TUPLE", "EMPTY_LIST", "APPEND", "APPENDS"),
        *("EMPTY_DICT", "SETITEM", "SETITEMS", "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET"),
        *("GLOBAL", "BINPERSID", "REDUCE", "BUILD"),
    }
)
#: The opcodes that make an OrderedDict.
_ORDERED_DICT = b"ccollections\nOrderedDict\n)R"


class PickleRejectedError(Exception):
    """A pickle is damaged, or holds more than plain values and allowed names."""


class Builder(NamedTuple):
    """A function that a pickle may call. Unlike a function, it has no attributes that the opcode BUILD could set."""

    build: Callable[..., Any]

    def __call__(self, *arguments: Any) -> Any:
        """Call the function."""
        return self.build(*arguments)


class _TextDict(dict[str, Any]):
    """A dict whose keys are strings: hashing tuples that share tuples many levels deep would never end."""

    def __init__(self) -> None:
        super().__init__()

    def __setitem__(self, key: str, value: Any) -> None:
        if type(key) is not str:
            raise PickleRejectedError("a key of a dict is not a string")
        super().__setitem__(key, value)

    def __setstate__(self, state: Any) -> None:
        """Ignore attributes. PyTorch sets one on a state dict: the versions of its modules."""


class RestrictedUnpickler(pickle.Unpickler):
    """Reads one pickle from a file in memory, and leaves the file behind it.

    The values of allowed names are given by "module.name"; a pickle can call those that are a `Builder`. `persistent`
    gives the value of a persistent id.
    """

    def __init__(self, file: io.BytesIO, names: Mapping[str, Any], persistent: Callable[[Any], Any]) -> None:
        super().__init__(io.BytesIO(_read_checked(file)))
        self._names = {"collections.OrderedDict": Builder(_TextDict), **names}
        self._persistent = persistent

    def find_class(self, module: str, name: str) -> Any:
        """Look up an allowed name."""
        if f"{module}.{name}" not in self._names:
            raise PickleRejectedError(f"it asks for {f'{module}.{name}'!a}, which no tensor needs")
        return self._names[f"{module}.{name}"]

    def persistent_load(self, pid: Any) -> Any:
        """Look up a persistent id."""
        return self._persistent(pid)

    def load(self) -> Any:
        """Read the value.

        Raises:
            PickleRejectedError: The pickle is damaged or asks for a name that is not allowed.
        """
        try:
            return super().load()
        except PickleRejectedError:
            raise
        except Exception as exc:  # A damaged pickle can raise any.
            raise PickleRejectedError(f"a pickle in it is damaged: {exc}") from exc


def _read_checked(file: io.BytesIO) -> bytes:
    """Read one pickle whose opcodes are all allowed, with each dict made by the call of an OrderedDict."""
    start, dicts = file.tell(), []
    try:
        for count, (opcode, argument, place) in enumerate(pickletools.genops(file)):
            if opcode.name not in _OPCODES:
                raise PickleRejectedError(f"it has the pickle opcode {opcode.name} at byte {place}")
            # Memory is allocated for all places of the memo up to the highest.
            if count == MAX_OPCODES or ("PUT" in opcode.name and (argument or 0) > MAX_OPCODES):
                raise PickleRejectedError(f"a pickle in it has more than {MAX_OPCODES:,} opcodes or values")
            if opcode.name == "EMPTY_DICT":
                dicts.append((place or 0) - start)
    except ValueError as exc:
        raise PickleRejectedError(f"a pickle in it is damaged: {exc}") from exc
    content = file.getvalue()[start : file.tell()]
    ends = [*dicts, len(content)]
    return _ORDERED_DICT.join(content[begin:end] for begin, end in zip([0, *(d + 1 for d in dicts)], ends, strict=True))
