"""Headers and status of a response; a server may send anything, and none of it may do harm."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

import httpx

from tasks.download.partial import Origin
from tasks.download.retry_policy import FetchError, TransientError

_TRANSIENT = {408, 425, 429}
_NUMBER = "[0-9]{1,15}"
_RANGE = re.compile(rf"bytes ({_NUMBER})-({_NUMBER})/({_NUMBER}|\*)")


class ContentRange(NamedTuple):
    """The bytes of a file that a response holds, from `start` to before `end`; `total` may be unknown."""

    start: int
    end: int
    total: int | None


def content_length(response: httpx.Response) -> int | None:
    """Return the declared length of a response, if it makes sense."""
    found = re.fullmatch(_NUMBER, response.headers.get("Content-Length", ""))
    return int(found[0]) if found else None


def content_range(response: httpx.Response) -> ContentRange | None:
    """Return the range that a response declares (RFC 9110, 14.4), if it makes sense."""
    found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if found is None:
        return None
    start, end, total = int(found[1]), int(found[2]) + 1, None if found[3] == "*" else int(found[3])
    return ContentRange(start, end, total) if start < end and (total is None or end <= total) else None


def origin_of(url: str, response: httpx.Response, total: int | None) -> Origin:
    """Return the version of the file that a response is from."""
    return Origin(url, response.headers.get("ETag"), response.headers.get("Last-Modified"), total)


def status_error(response: httpx.Response) -> Exception:
    """Return the error for a response that does not hold the file."""
    reason = f"the server answered {response.status_code} {response.reason_phrase[:60]}".rstrip()
    if is_transient(response.status_code):
        return TransientError(reason, _retry_after(response))
    return FetchError(reason)


def is_transient(status: int) -> bool:
    """Whether a further request may get another status."""
    return 500 <= status < 600 or status in _TRANSIENT


def _retry_after(response: httpx.Response) -> float:
    """Seconds that a server asks us to wait, given as a number or a date (RFC 9110, 10.2.3)."""
    text = response.headers.get("Retry-After", "").strip()
    if re.fullmatch("[0-9]+", text):
        # A float overflows at 309 digits.
        return float(text[:300])
    try:
        then = parsedate_to_datetime(text)
        return max(0.0, (then.replace(tzinfo=then.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
    except (ValueError, OverflowError):
        return 0.0
