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
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.runtime.exit_hooks import add_exit_hook, remove_exit_hook
from tasks.storage import object_store

if TYPE_CHECKING:
    from upath import UPath

#: Seconds after which a holder writes its lease anew.
RENEWED = 10.0
#: Seconds after which a lease that was not written anew is another's to take.
EXPIRED = 60.0
#: Seconds between two looks at a lease that somebody else holds.
_LOOK = 1.0
#: Seconds that a process that ends has to give a lease back; where it does not get there, the lease just ends.
_LAST_WORDS = 5.0
#: Of a lease's number, so many that the first one is always 0.
_DIGITS = 10


@dataclass(eq=False)
class Lease:
    """A lease that this process holds, until it ends at the latest; a child that it forks leaves it alone.

    Args:
        path: Its object.
        passed_on: Whether somebody takes it over; else nothing is left of it.
    """

    path: "UPath"
    passed_on: bool = True
    name: str = field(default_factory=lambda: secrets.token_hex(8))
    _process: int = field(default_factory=os.getpid)
    _beat: int = 0
    _ended: threading.Event = field(default_factory=threading.Event)
    _writing: threading.Lock = field(default_factory=threading.Lock)

    def keep(self) -> None:
        """Renew it from now on, in a thread of its own."""
        add_exit_hook(self.release, stopped=True)
        threading.Thread(target=self._renew, daemon=True).start()

    def release(self) -> None:
        """Give it back; where that cannot be told now, it just ends."""
        if self._process != os.getpid() or self._ended.is_set():
            return
        self._ended.set()
        remove_exit_hook(self.release)
        if self._writing.acquire(timeout=_LAST_WORDS):
            with suppress(Exception):
                self._tell_the_end()
            self._writing.release()

    def body(self, *, released: bool) -> bytes:
        """What its object holds; no two leases ever hold the same."""
        body: dict[str, Any] = {
            "host": socket.gethostname(),
            "machine": _machine(),
            "process": self._process,
            "started": _started(self._process),
            "lease": self.name,
            "beat": self._beat,
            "released": released,
        }
        return json.dumps(body).encode()

    def _tell_the_end(self) -> None:
        if self.passed_on:
            # What is left is the number that was reached.
            object_store.put_bytes(self.path, self.body(released=True), timeout=_LAST_WORDS)
        else:
            self.path.fs.rm_file(self.path.path, timeout=_LAST_WORDS)

    def _renew(self) -> None:
        while not self._ended.wait(RENEWED):
            with self._writing, suppress(Exception):
                if not self._ended.is_set():
                    self._beat += 1
                    object_store.put_bytes(self.path, self.body(released=False), timeout=EXPIRED / 2)


def acquire(place: "UPath", wait: Callable[[], bool]) -> Lease | None:
    """Be the one holder of a lease.

    Args:
        place: The folder of its numbers.
        wait: Called once where somebody else holds it; says whether to wait.

    Returns:
        The lease, renewed until it is released; None where it was not to be waited for.
    """
    asked = False
    watch = _Watch()
    while True:
        latest = max(_numbers(place), default=None)
        told = None if latest is None else _read(place / latest)
        if latest is None or (told is not None and (is_over(told) or watch.is_expired(told))):
            lease = _take(place, int(latest or 0) + 1)
            if lease is not None:
                return lease
        elif told is not None:
            if not asked and not wait():
                return None
            asked = True
            time.sleep(_LOOK)


class _Watch:
    """Looks at a lease again and again. Only while it looks does time count: not where the store cannot be reached."""

    def __init__(self) -> None:
        self._seen = b""
        self._unchanged = 0.0
        self._last = time.monotonic()

    def is_expired(self, told: bytes) -> bool:
        """Whether what a lease holds has been the same for too long."""
        now = time.monotonic()
        self._unchanged = self._unchanged + min(now - self._last, 2 * _LOOK) if told == self._seen else 0.0
        self._seen, self._last = told, now
        return self._unchanged > EXPIRED


def register(place: "UPath") -> Lease:
    """Tell of this process for as long as it lives, beside others; `others` sees it."""
    lease = Lease(place / secrets.token_hex(8), passed_on=False)
    object_store.put_bytes(lease.path, lease.body(released=False))
    lease.keep()
    return lease


def others(place: "UPath", own: "UPath | None", now: float) -> bool:
    """Whether any other process is registered that is not over; those that are, are removed.

    Args:
        place: Where they are.
        own: This process's own.
        now: The store's own time, seconds since 1970: when it last took something from us.
    """
    over = []
    for name in object_store.folder_names(place):
        path = place / name
        told = None if own is not None and path.path == own.path else _read(path)
        if told is None:
            continue
        # A process of this machine that lives is at work, however long ago it could tell the store.
        if not is_over(told) and (_is_here(told) or now - modified(path) <= EXPIRED):
            return True
        over.append(path)
    object_store.remove(over)
    return False


def is_held(place: "UPath") -> bool:
    """Whether somebody holds a lease, as far as can be told without waiting."""
    latest = max(_numbers(place), default=None)
    told = None if latest is None else _read(place / latest)
    return latest is not None and told is not None and not is_over(told) and not _is_expired(place / latest)


def clear(place: "UPath") -> None:
    """Remove what is left of a lease that nobody holds."""
    if not is_held(place):
        object_store.remove([place / name for name in _numbers(place)])


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


def _is_here(told: bytes) -> bool:
    """Whether a lease is of a process of this machine."""
    return bool(_machine()) and json.loads(told)["machine"] == _machine()


def _is_expired(path: "UPath") -> bool:
    """Whether a lease was not written anew for too long; where our clock says so, that of the store is asked."""
    written = modified(path)
    if time.time() - written <= EXPIRED:
        return False
    now = path.with_name(f".now-{secrets.token_hex(8)}")
    try:
        object_store.put_bytes(now, b"")
        return modified(now) - written > EXPIRED
    except PermissionError:
        # Who may only read cannot ask; then it counts as held.
        return False
    finally:
        with suppress(PermissionError):
            object_store.remove([now])


def _take(place: "UPath", number: int) -> Lease | None:
    lease = Lease(place / f"{number:0{_DIGITS}}")
    if not object_store.create(lease.path, lease.body(released=False)):
        return None
    numbers = _numbers(place)
    if max(numbers, default="") > lease.path.name:
        # Seen long ago, created now: others have gone on meanwhile.
        object_store.remove([lease.path])
        return None
    object_store.remove([place / name for name in numbers if name < lease.path.name])
    lease.keep()
    return lease


def _numbers(place: "UPath") -> list[str]:
    # By how they begin, or a store's library looks above a folder that is not there.
    found = place.fs.find(place.path, prefix="0")
    return [name for name in (path.rpartition("/")[2] for path in found) if name.isdecimal()]


def _read(path: "UPath") -> bytes | None:
    try:
        return object_store.read_bytes(path)
    except FileNotFoundError:
        return None


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
