"""Trust on first use: the first download of a file pins its hash, and every later one must have it.

The pin is `<name>.sha256` beside the file, in the format of sha256sum, so that `sha256sum -c <name>.sha256` checks it.
"""

import os
import re
from pathlib import Path
from typing import TypeVar, cast

from tasks.download.fetch import Expected, FetchedFile, fetch
from tasks.download.retry_policy import RetryPolicy
from tasks.errors import StoreError
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.storage.files import publish_bytes

PlaceT = TypeVar("PlaceT", bound=AnyPath)


def pin_path(path: PlaceT) -> PlaceT:
    """Return the path of the pin of a file."""
    return cast("PlaceT", path.with_name(f"{path.name}.sha256"))


def fetch_pinned(
    url: str,
    path: Path,
    progress: Progress,
    policy: RetryPolicy = RetryPolicy(),  # noqa: B008 - frozen
) -> FetchedFile:
    """Fetch a file of unknown hash, if it is not there already.

    Without a pin, the file is trusted and pinned; so is one that a person put there. With a pin, a file that has its
    hash is taken without a request, and no other is accepted. Progress gets one line when a file is trusted.

    Raises:
        DownloadError: The file could not be fetched, or has another hash than the pinned one.
        MachineError: The disk has no room, or cannot be written to.
        StoreError: The pin is damaged.
    """
    pin = pin_path(path)
    pinned = pinned_sha256(path)
    if pinned is None:
        fetched = fetch(url, path, Expected(alternative=""), progress, policy)
        # Another run may have been first meanwhile.
        pinned = pinned_sha256(path)
        if pinned is None:
            publish_bytes(pin, f"{fetched.sha256}  ".encode() + os.fsencode(path.name) + b"\n")
            progress.tell(f"{path.name}: sha256 {fetched.sha256} trusted on first use, kept in {pin}")
            return fetched
    return fetch(url, path, Expected(sha256=pinned, accept_remedy=f"delete {pin}", alternative=""), progress, policy)


def pinned_sha256(path: AnyPath) -> str | None:
    """Return the hash that a file is pinned to; None where there is no pin.

    Raises:
        StoreError: The pin is damaged.
    """
    pin = pin_path(path)
    try:
        found = re.fullmatch(rb"([0-9a-f]{64}) [ *]([^\n]+)\n?", pin.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise StoreError(f"{pin} cannot be read ({exc.strerror}). Mend its rights, and run again.") from exc
    if found is None or found[2] != os.fsencode(path.name):
        raise StoreError(
            f"{pin} is damaged: it should be one line, the sha256 of {path.name}, two spaces and that name. Write it "
            "with sha256sum for a file that you trust, or delete it, and the next run trusts what it gets."
        )
    return found[1].decode()
