"""What a server's answer says; every header is a stranger's, and none may do harm."""

import re
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

import httpx

from tasks.download.partial import Origin

_TRANSIENT = {408, 425, 429}
_NUMBER = "[0-9]{1,15}"
_RANGE = re.compile(rf"bytes ({_NUMBER})-({_NUMBER})/({_NUMBER}|\*)")


class FetchError(Exception):
    """The server could not be had, or would not give the file.

    Args:
        reason: Why, in a few words.
        remedy: What to do about it, as a sentence that "and run again" ends.
    """

    def __init__(self, reason: str, remedy: str = "Check the URL and the connection") -> None:
        super().__init__(reason)
        self.remedy = remedy


class TransientError(Exception):
    """Something that may be over in a while; `pause` is how many seconds the server asks us to wait."""

    def __init__(self, reason: str, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.pause = pause


class Range(NamedTuple):
    """Which bytes of a file an answer holds.

    Args:
        start: The first.
        end: One after the last.
        total: How many the file has; None where the server does not say.
    """

    start: int
    end: int
    total: int | None


def length_of(response: httpx.Response) -> int | None:
    """How many bytes an answer says that it has; None where it does not."""
    return _number(response.headers.get("Content-Length", ""))


def range_of(response: httpx.Response) -> Range | None:
    """Which bytes an answer says that it holds; None where it makes no sense (RFC 9110, 14.4)."""
    found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if found is None:
        return None
    start, end, total = int(found[1]), int(found[2]) + 1, _number(found[3])
    return Range(start, end, total) if start < end and (total is None or end <= total) else None


def origin_of(url: str, response: httpx.Response, total: int | None) -> Origin:
    """Which version of the file an answer is from."""
    return Origin(url, response.headers.get("ETag"), response.headers.get("Last-Modified"), total)


def refusal_of(response: httpx.Response) -> Exception:
    """What an answer means that is not the file."""
    reason = f"the server answered {response.status_code} {response.reason_phrase[:60]}".rstrip()
    if is_transient(response.status_code):
        return TransientError(reason, _retry_after(response))
    return FetchError(reason)


def is_transient(status: int) -> bool:
    """Whether a server that gave this answer may give another one in a while."""
    return 500 <= status < 600 or status in _TRANSIENT


def _retry_after(response: httpx.Response) -> float:
    """Seconds that a server asks us to wait; it may give them, or a date (RFC 9110, 10.2.3)."""
    text = response.headers.get("Retry-After", "").strip()
    if re.fullmatch("[0-9]+", text):
        # More digits than a float has would be an error.
        return float(text[:300])
    try:
        then = parsedate_to_datetime(text)
        now = datetime.fromtimestamp(time.time(), UTC)
        return max(0.0, (then.replace(tzinfo=then.tzinfo or UTC) - now).total_seconds())
    except (ValueError, OverflowError):
        return 0.0


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(_NUMBER, text) else None
