"""Leases: locks on an object store, which end when their holder stops renewing them.

A lease is a numbered object. Only one process can create it, since a store creates an object only if it is missing.
The holder rewrites it every few seconds. A process that finds the highest number released, its process gone, or not
renewed for a minute creates the next number and is the holder. A holder that was suspended for so long works on beside
the next one: that wastes work and does no harm, as two runs without any lock would.
"""

import json
import os
import secrets
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.events import emit
from tasks.runtime.exit_hooks import add_exit_hook, remove_exit_hook
from tasks.storage import object_store

if TYPE_CHECKING:
    from upath import UPath

#: Seconds between two renewals by the holder.
RENEWAL_SECONDS = 10.0
#: Seconds after which a lease that was not renewed may be taken over.
EXPIRY_SECONDS = 60.0
#: Seconds between two looks at a lease that another process holds.
_POLL_SECONDS = 1.0
#: Seconds for the release at exit; a lease that cannot be released expires.
_RELEASE_TIMEOUT = 5.0
#: Digits of a lease's number, so many that the first one is always 0.
_DIGITS = 10


@dataclass(eq=False)
class Lease:
    """A lease that this process holds until it is released, at exit at the latest; forked children ignore it."""

    path: "UPath"  #: Its object.
    stays: bool = True  #: Whether its object stays after the release, so that the next holder takes the next number.
    name: str = field(default_factory=lambda: secrets.token_hex(8))
    _process: int = field(default_factory=os.getpid)
    _beat: int = 0
    _ended: threading.Event = field(default_factory=threading.Event)
    _writing: threading.Lock = field(default_factory=threading.Lock)

    def keep(self) -> None:
        """Renew the lease in a thread until it is released."""
        add_exit_hook(self.release, on_signal=True)
        threading.Thread(target=self._renew, daemon=True).start()

    def release(self) -> None:
        """Release the lease; without a connection it just expires."""
        if self._process != os.getpid() or self._ended.is_set():
            return
        self._ended.set()
        remove_exit_hook(self.release)
        if self._writing.acquire(timeout=_RELEASE_TIMEOUT):
            with suppress(Exception):
                if self.stays:
                    object_store.put_bytes(self.path, self.body(released=True), timeout=_RELEASE_TIMEOUT)
                else:
                    self.path.fs.rm_file(self.path.path, timeout=_RELEASE_TIMEOUT)
            self._writing.release()

    def body(self, *, released: bool) -> bytes:
        """Bytes of the object; no two leases ever have the same."""
        body = {
            "host": socket.gethostname(),
            "machine": _machine(),
            "process": self._process,
            "started": _started(self._process),
            "lease": self.name,
            "beat": self._beat,
            "released": released,
        }
        return json.dumps(body).encode()

    def _renew(self) -> None:
        while not self._ended.wait(RENEWAL_SECONDS):
            with self._writing, suppress(Exception):
                if not self._ended.is_set():
                    self._beat += 1
                    object_store.put_bytes(self.path, self.body(released=False), timeout=EXPIRY_SECONDS / 2)


def acquire(place: "UPath", why: str | None) -> tuple[Lease, bool]:
    """Acquire a lease, and renew it until it is released.

    Args:
        place: The folder of its numbers.
        why: Reported once if the lease has to be waited for; None does not wait.

    Returns:
        The lease, and whether it had to be waited for.

    Raises:
        BlockingIOError: Another process holds the lease, and `why` is None.
    """
    waited = False
    timer = _ExpiryTimer()
    while True:
        latest = max(_numbers(place), default=None)
        body = None if latest is None else _read(place / latest)
        if latest is None or (body is not None and (has_ended(body) or timer.is_expired(body))):
            lease = _create_next(place, int(latest or 0) + 1)
            if lease is not None:
                return lease, waited
        elif body is not None:
            if why is None:
                raise BlockingIOError(f"Another process holds {place}.")
            if not waited:
                emit("waiting", why)
            waited = True
            time.sleep(_POLL_SECONDS)


class _ExpiryTimer:
    """Measures how long a lease has not changed; time in which the store does not answer does not count."""

    def __init__(self) -> None:
        self._seen = b""
        self._unchanged = 0.0
        self._last = time.monotonic()

    def is_expired(self, body: bytes) -> bool:
        """Whether the bytes of a lease have been the same for too long."""
        now = time.monotonic()
        self._unchanged = self._unchanged + min(now - self._last, 2 * _POLL_SECONDS) if body == self._seen else 0.0
        self._seen, self._last = body, now
        return self._unchanged > EXPIRY_SECONDS


def register(place: "UPath") -> Lease:
    """Register this process beside others until it ends, so that `others` sees it."""
    lease = Lease(place / secrets.token_hex(8), stays=False)
    object_store.put_bytes(lease.path, lease.body(released=False))
    lease.keep()
    return lease


def others(place: "UPath", own: "UPath | None", now: float) -> bool:
    """Whether another living process is registered in a folder; those that have ended are removed.

    Args:
        place: The folder.
        own: The lease of this process.
        now: Time of the store's clock, in seconds since 1970.
    """
    over = []
    for name in object_store.list_folder(place).files:
        path = place / name
        body = None if own is not None and path.path == own.path else _read(path)
        if body is None:
            continue
        # A living process of this machine counts, however long the store has not heard of it.
        if not has_ended(body) and (_is_here(body) or now - modified(path) <= EXPIRY_SECONDS):
            return True
        over.append(path)
    object_store.remove(over)
    return False


def is_held(path: "UPath") -> bool:
    """Whether a process holds a lease, as far as one look tells."""
    latest = max(_numbers(path), default=None)
    body = None if latest is None else _read(path / latest)
    return latest is not None and body is not None and not has_ended(body) and not _is_expired(path / latest)


def clear(path: "UPath") -> None:
    """Remove the objects of a lease that nobody holds."""
    if not is_held(path):
        object_store.remove([path / name for name in _numbers(path)])


def modified(path: "UPath") -> float:
    """Time of the last write to an object by the store's clock, in seconds since 1970; 0 if it is missing."""
    try:
        return float(path.fs.modified(path.path).timestamp())
    except FileNotFoundError:
        return 0


def has_ended(body: bytes) -> bool:
    """Whether a lease was released, or its process was one of this machine and has ended."""
    try:
        values = json.loads(body)
        machine, process, started = values["machine"], int(values["process"]), values["started"]
    except (ValueError, KeyError, TypeError):
        return True
    return bool(values["released"]) or (machine == _machine() and _started(process) != started)


def _is_here(body: bytes) -> bool:
    return bool(_machine()) and json.loads(body)["machine"] == _machine()


def _is_expired(path: "UPath") -> bool:
    """Whether a lease was not renewed for too long, by this machine's clock and by the store's."""
    written = modified(path)
    if time.time() - written <= EXPIRY_SECONDS:
        return False
    now = path.with_name(f".now-{secrets.token_hex(8)}")
    try:
        object_store.put_bytes(now, b"")
        return modified(now) - written > EXPIRY_SECONDS
    except PermissionError:
        # Without the right to write, the store's clock cannot be read: then the lease counts as held.
        return False
    finally:
        with suppress(PermissionError):
            object_store.remove([now])


def _create_next(place: "UPath", number: int) -> Lease | None:
    lease = Lease(place / f"{number:0{_DIGITS}}")
    if not object_store.create(lease.path, lease.body(released=False)):
        return None
    numbers = _numbers(place)
    if max(numbers, default="") > lease.path.name:
        # Other processes have taken later numbers since this one looked.
        object_store.remove([lease.path])
        return None
    object_store.remove([place / name for name in numbers if name < lease.path.name])
    lease.keep()
    return lease


def _numbers(place: "UPath") -> list[str]:
    # Without a prefix the library looks above a missing folder.
    found = place.fs.find(place.path, prefix="0")
    return [name for name in (path.rpartition("/")[2] for path in found) if name.isdecimal()]


def _read(path: "UPath") -> bytes | None:
    try:
        return object_store.read_bytes(path)
    except FileNotFoundError:
        return None


def _machine() -> str:
    """The boot of this machine and its process namespace; empty if Linux does not tell."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(process: int) -> str | None:
    """Start time of a process of this machine, in ticks since boot; None if it has ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    # A zombie has ended; its parent has not collected it yet.
    return None if fields[0] in {"Z", "X"} else fields[19]
