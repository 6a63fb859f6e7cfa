"""Trust on first use: the first download of a file locks its hash, and every later one must have it.

The lock is `<name>.sha256` beside the file, in the format of sha256sum, so that `sha256sum -c <name>.sha256` checks it.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path

from tasks.download.fetch import Expected, Fetched, fetch
from tasks.download.retry_policy import RetryPolicy
from tasks.errors import MachineError, StoreError
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.storage.files import publish_bytes


def lock_of(path: Path) -> Path:
    """Where the lock of a file is."""
    return path.with_name(f"{path.name}.sha256")


def fetch_locked(
    url: str,
    path: Path,
    progress: Progress,
    tell: Callable[[str], None],
    patience: RetryPolicy = RetryPolicy(),  # noqa: B008 - frozen
) -> Fetched:
    """Fetch a file whose hash nobody gave, if it is not there already.

    Where there is no lock, what comes is trusted and locked; so is a file that a person put there. Where there is one,
    a file that fits is taken without asking the server, and no other is let in.

    Args:
        url: Where the file is.
        path: Where it is to be; folders above it are made.
        progress: Is told of the bytes as they come.
        tell: Is given one line when a file is trusted.
        patience: How long to keep trying.

    Raises:
        DownloadError: The server could not be had, or has another file than the locked one.
        MachineError: The disk has no room, or cannot be written to.
        StoreError: The lock is damaged.
    """
    locked = locked_sha256(path)
    if locked is None:
        fetched = fetch(url, path, Expected(otherwise=""), progress, patience)
        # Another run may have been first meanwhile.
        locked = locked_sha256(path)
        if locked is None:
            _write(path, fetched.sha256)
            tell(f"{path.name}: sha256 {fetched.sha256} trusted on first use, kept in {lock_of(path)}")
            return fetched
    return fetch(url, path, Expected(sha256=locked, amend=f"delete {lock_of(path)}", otherwise=""), progress, patience)


def locked_sha256(path: AnyPath) -> str | None:
    """The hash that a file is locked to; None where there is no lock.

    Raises:
        StoreError: The lock is damaged.
    """
    lock = path.with_name(lock_of(Path(path.name)).name)
    try:
        found = re.fullmatch(rb"([0-9a-f]{64}) [ *]([^\n]+)\n?", lock.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise StoreError(f"{lock} cannot be read ({exc.strerror}). Mend its rights, and run again.") from exc
    if found is None or found[2] != os.fsencode(path.name):
        raise StoreError(
            f"{lock} is damaged: it should be one line, the sha256 of {path.name}, two spaces and that name. Write it "
            "with sha256sum for a file that you trust, or delete it, and the next run trusts what it gets."
        )
    return found[1].decode()


def _write(path: Path, sha256: str) -> None:
    try:
        publish_bytes(lock_of(path), b"%s  %s\n" % (sha256.encode(), os.fsencode(path.name)))
    except OSError as exc:
        raise MachineError(
            f"{lock_of(path)} could not be written ({exc.strerror or exc}). Make room for it or mend the folder's "
            "rights, and run again: the file itself is kept."
        ) from exc
