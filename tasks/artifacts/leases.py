"""Locks on an object store, where no lock ends with its process: leases, which end when nobody renews them.

A lease is a numbered object that only one process can create, since a store creates an object only where there is none.
Its holder writes it anew every few seconds. Whoever finds the highest number given back, its process gone, or not
renewed for a minute creates the next one, and is the holder. A holder that was held up for so long goes on beside the
next one: that wastes work and harms nothing, as two runs without any lock would.
"""

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.artifacts import objects

if TYPE_CHECKING:
    from upath import UPath

#: Seconds after which a holder writes its lease anew.
RENEWED = 10.0
#: Seconds after which a lease that was not written anew is another's to take.
EXPIRED = 60.0
#: Seconds between two looks at a lease that somebody else holds.
_LOOK = 1.0
_DIGITS = 10


@dataclass(eq=False)
class Lease:
    """A lease that this process holds.

    Args:
        path: Its object.
    """

    path: "UPath"
    _beat: int = 0
    _ended: threading.Event = field(default_factory=threading.Event)
    _writing: threading.Lock = field(default_factory=threading.Lock)

    def keep(self) -> None:
        """Renew it from now on, in a thread of its own."""
        threading.Thread(target=self._renew, args=(os.getpid(),), daemon=True).start()

    def release(self) -> None:
        """Give it back; what is left is the number that was reached."""
        if not self._ended.is_set():
            self._ended.set()
            self._write(released=True)

    def drop(self) -> None:
        """Give it back, and leave nothing: for an object that nobody else ever takes over."""
        self._ended.set()
        with self._writing:
            objects.remove([self.path])

    def _renew(self, process: int) -> None:
        while not self._ended.wait(RENEWED) and os.getpid() == process:
            self._beat += 1
            try:
                self._write(released=False)
            except Exception:  # noqa: BLE001, S112 (whatever the store says: the next time it may be there again)
                continue

    def _write(self, *, released: bool) -> None:
        with self._writing:
            if released or not self._ended.is_set():
                objects.put_bytes(self.path, _body(self._beat, released=released))


def acquire(place: "UPath", wait: Callable[[], bool]) -> Lease | None:
    """Be the one holder of a lease.

    Args:
        place: The folder of its numbers.
        wait: Called once where somebody else holds it; says whether to wait.

    Returns:
        The lease, renewed until it is released; None where it was not to be waited for.
    """
    asked = False
    seen: tuple[str, bytes] | None = None
    since = time.monotonic()
    while True:
        latest = max(_numbers(place), default=None)
        told = None if latest is None else _read(place / latest)
        if latest is not None and told is None:
            continue
        if (latest or "", told) != seen:
            seen, since = (latest or "", told or b""), time.monotonic()
        if told is None or is_over(told) or time.monotonic() - since > EXPIRED:
            lease = _take(place, int(latest or 0) + 1)
            if lease is not None:
                return lease
            continue
        if not asked and not wait():
            return None
        asked = True
        time.sleep(_LOOK)


def register(place: "UPath") -> Lease:
    """Tell of this process for as long as it lives, beside others; `others` sees it."""
    lease = Lease(place / secrets.token_hex(8))
    objects.put_bytes(lease.path, _body(0, released=False))
    lease.keep()
    return lease


def others(place: "UPath", own: "UPath | None", now: float) -> bool:
    """Whether any other process is registered that is not over.

    Args:
        place: Where they are.
        own: This process's own.
        now: The store's own time, seconds since 1970: when it last took something from us.
    """
    for name in objects.names_in(place):
        path = place / name
        told = None if own is not None and path.path == own.path else _read(path)
        if told is not None and not is_over(told) and now - modified(path) <= EXPIRED:
            return True
    return False


def is_held(place: "UPath") -> bool:
    """Whether somebody holds a lease, as far as can be told without waiting."""
    latest = max(_numbers(place), default=None)
    told = None if latest is None else _read(place / latest)
    return told is not None and not is_over(told)


def modified(path: "UPath") -> float:
    """When an object was written, by the clock of the store: seconds since 1970; 0 where it is gone."""
    try:
        return float(path.fs.modified(path.path).timestamp())
    except FileNotFoundError:
        return 0


def is_over(told: bytes) -> bool:
    """Whether a lease was given back, or its process was one of this machine and is gone."""
    try:
        body = json.loads(told)
        machine, process, started = body["machine"], int(body["process"]), body["started"]
    except (ValueError, KeyError, TypeError):
        return True
    return bool(body["released"]) or (machine == _machine() and _started(process) != started)


def _take(place: "UPath", number: int) -> Lease | None:
    lease = Lease(place / f"{number:0{_DIGITS}}")
    if not objects.create(lease.path, _body(0, released=False)):
        return None
    numbers = _numbers(place)
    if max(numbers, default="") > lease.path.name:
        # Seen long ago, created now: others have gone on meanwhile.
        objects.remove([lease.path])
        return None
    objects.remove([place / name for name in numbers if name < lease.path.name])
    lease.keep()
    return lease


def _numbers(place: "UPath") -> list[str]:
    return [name for name in objects.names_in(place) if name.isdecimal()]


def _read(path: "UPath") -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _body(beat: int, *, released: bool) -> bytes:
    process = os.getpid()
    body: dict[str, Any] = {
        "host": socket.gethostname(),
        "machine": _machine(),
        "process": process,
        "started": _started(process),
        "beat": beat,
        "released": released,
    }
    return json.dumps(body).encode()


def _machine() -> str:
    """This start of this machine, and the processes that see one another on it; empty where Linux does not tell."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(process: int) -> str | None:
    """When a process of this machine began, in the system's own count; None where it is not there."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    # A zombie has ended; only its parent has not looked yet.
    return None if fields[0] in {"Z", "X"} else fields[19]
