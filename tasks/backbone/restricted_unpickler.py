"""Reads pickles of plain values without Python's unpickler: a pickle is a program, and this machine knows few opcodes.

What it can build is written down here: None, bool, int, str, tuple, list, dict with texts as keys, and what the
builders of its caller make. It imports, calls and sets nothing else, whatever a file asks for. What it holds in memory
is bounded by the number of opcodes that it takes, and by the bytes that are there.

Source of the opcodes: pickletools.py of Python's library.
"""

import pickle
import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, ClassVar

#: Of one pickle. The largest that is read here, the state dict of an EfficientNet-Lite, has 13,000.
MOST_OPCODES = 100_000
#: Bytes of a name or another text.
LONGEST_TEXT = 4096
#: The newest protocol whose opcodes are known; PyTorch writes this one.
PROTOCOL = 2


class NotPlainError(Exception):
    """A pickle is damaged, or holds more than plain values."""


class Bytes:
    """A file that is never asked for more bytes than are left in it, so that an absurd length costs no memory.

    Args:
        file: The file, at its start.
        size: Its length in bytes.
    """

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self.size, self.place = file, size, 0

    def take(self, count: int) -> bytes:
        """Read that many bytes.

        Raises:
            NotPlainError: So many are not left.
        """
        data = self._file.read(count) if 0 <= count <= self.size - self.place else b""
        if len(data) != count:
            raise NotPlainError("it is cut short")
        self.place += count
        return data

    def number(self, width: int, *, signed: bool = False) -> int:
        """Read an integer of so many bytes, the lowest first."""
        return int.from_bytes(self.take(width), "little", signed=signed)

    def line(self) -> str:
        """Read ASCII up to the end of the line."""
        line = self._file.readline(LONGEST_TEXT)
        self.place += len(line)
        if not line.endswith(b"\n") or not line.isascii():
            raise NotPlainError("a name in it has no end")
        return line[:-1].decode()


@dataclass(frozen=True)
class Builder:
    """What a pickle may call.

    Args:
        build: From the arguments, a tuple of whatever the pickle holds, to a value. Raises `NotPlainError`.
    """

    build: Callable[[tuple[Any, ...]], Any]


@dataclass
class Machine:
    """Runs one pickle.

    Args:
        source: Where the pickle begins.
        names: The values of the names that it may ask for, by "module name".
        persistent: What its persistent ids stand for: from an id to a value. Raises `NotPlainError`.
    """

    source: Bytes
    names: Mapping[str, Any]
    persistent: Callable[[Any], Any]
    _stack: list[Any] = field(default_factory=list)
    _below: list[list[Any]] = field(default_factory=list)
    _memo: dict[int, Any] = field(default_factory=dict)

    def run(self) -> Any:
        """Read up to the opcode STOP, and return the value.

        Raises:
            NotPlainError: The pickle is damaged, is too long, or needs an opcode or a name that is not allowed.
        """
        for _ in range(MOST_OPCODES):
            place, code = self.source.place, self.source.take(1)
            if code == pickle.STOP:
                value = self._pop()
                if self._stack or self._below:
                    raise NotPlainError("a pickle in it leaves values over")
                return value
            step = self._STEPS.get(code)
            if step is None:
                raise NotPlainError(f"it has the pickle opcode {_name(code)} at byte {place}, which no tensor needs")
            step(self)
        raise NotPlainError(f"a pickle in it has more than {MOST_OPCODES:,} opcodes")

    def _pop(self) -> Any:
        if not self._stack:
            raise NotPlainError("a pickle in it lacks a value")
        return self._stack.pop()

    def _top(self, kind: type[Any]) -> Any:
        """The value on top, which stays there, if it is of that very type."""
        if not self._stack or type(self._stack[-1]) is not kind:
            raise NotPlainError(f"a pickle in it has no {kind.__name__} where one must be")
        return self._stack[-1]

    def _mark(self) -> None:
        self._below.append(self._stack)
        self._stack = []

    def _marked(self) -> list[Any]:
        """Take the values above the last mark."""
        if not self._below:
            raise NotPlainError("a pickle in it lacks a mark")
        values, self._stack = self._stack, self._below.pop()
        return values

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _protocol(self) -> None:
        if (protocol := self.source.number(1)) > PROTOCOL:
            raise NotPlainError(f"it is pickled in protocol {protocol}, newer than {PROTOCOL}")

    def _text(self) -> None:
        if (length := self.source.number(4)) > LONGEST_TEXT:
            raise NotPlainError(f"a text in it is {length:,} bytes long")
        try:
            self._push(self.source.take(length).decode())
        except UnicodeDecodeError as exc:
            raise NotPlainError("a text in it is no UTF-8") from exc

    def _tuple(self, length: int) -> None:
        self._push(tuple([self._pop() for _ in range(length)][::-1]))

    def _append(self, values: list[Any]) -> None:
        self._top(list).extend(values)

    def _set(self, values: list[Any]) -> None:
        target = self._top(dict)
        if len(values) % 2 or not all(type(key) is str for key in values[::2]):
            raise NotPlainError("a dict in it has keys that are no texts")
        target.update(zip(values[::2], values[1::2], strict=True))

    def _remember(self, place: int) -> None:
        if not self._stack:
            raise NotPlainError("a pickle in it lacks a value")
        self._memo[place] = self._stack[-1]

    def _recall(self, place: int) -> None:
        if place not in self._memo:
            raise NotPlainError("a pickle in it recalls what it has not kept")
        self._push(self._memo[place])

    def _global(self) -> None:
        module, name = self.source.line(), self.source.line()
        if f"{module} {name}" not in self.names:
            raise NotPlainError(f"it asks for {f'{module}.{name}'!a}, which no tensor needs")
        self._push(self.names[f"{module} {name}"])

    def _call(self) -> None:
        arguments = self._top(tuple)
        self._pop()
        builder = self._top(Builder)
        self._stack[-1] = builder.build(arguments)

    def _forget_attributes(self) -> None:
        """Drop what PyTorch sets on the state dict itself: the versions of its modules."""
        self._top(dict)
        self._pop()
        self._top(dict)

    #: Every opcode that is allowed.
    _STEPS: ClassVar[Mapping[bytes, Callable[["Machine"], None]]] = {
        pickle.PROTO: _protocol,
        pickle.NONE: lambda self: self._push(None),
        pickle.NEWTRUE: lambda self: self._push(True),
        pickle.NEWFALSE: lambda self: self._push(False),
        pickle.BININT: lambda self: self._push(self.source.number(4, signed=True)),
        pickle.BININT1: lambda self: self._push(self.source.number(1)),
        pickle.BININT2: lambda self: self._push(self.source.number(2)),
        pickle.LONG1: lambda self: self._push(self.source.number(self.source.number(1), signed=True)),
        pickle.BINUNICODE: _text,
        pickle.EMPTY_TUPLE: lambda self: self._push(()),
        pickle.TUPLE1: lambda self: self._tuple(1),
        pickle.TUPLE2: lambda self: self._tuple(2),
        pickle.TUPLE3: lambda self: self._tuple(3),
        pickle.MARK: _mark,
        pickle.TUPLE: lambda self: self._push(tuple(self._marked())),
        pickle.EMPTY_LIST: lambda self: self._push([]),
        pickle.APPEND: lambda self: self._append([self._pop()]),
        pickle.APPENDS: lambda self: self._append(self._marked()),
        pickle.EMPTY_DICT: lambda self: self._push({}),
        pickle.SETITEM: lambda self: self._set([self._pop(), self._pop()][::-1]),
        pickle.SETITEMS: lambda self: self._set(self._marked()),
        pickle.BINPUT: lambda self: self._remember(self.source.number(1)),
        pickle.LONG_BINPUT: lambda self: self._remember(self.source.number(4)),
        pickle.BINGET: lambda self: self._recall(self.source.number(1)),
        pickle.LONG_BINGET: lambda self: self._recall(self.source.number(4)),
        pickle.GLOBAL: _global,
        pickle.BINPERSID: lambda self: self._push(self.persistent(self._pop())),
        pickle.REDUCE: _call,
        pickle.BUILD: _forget_attributes,
    }


def _name(code: bytes) -> str:
    names = {known.code: known.name for known in pickletools.opcodes}
    return names.get(code.decode("latin-1"), f"0x{code.hex()}")
