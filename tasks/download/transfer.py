"""Bring a file's bytes over HTTP: resumed where it broke off, tried again where that may help."""

import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_exponential

from tasks.download.partial import Origin, Partial
from tasks.errors import DownloadError
from tasks.progress import Progress

_log = logging.getLogger(__name__)
_TRANSIENT = {408, 425, 429}


@dataclass(frozen=True)
class Patience:
    """How long to keep trying.

    Args:
        attempts: Give up after so many attempts in a row that brought nothing new.
        first_pause: Seconds before the second attempt; each later pause is twice as long as the one before.
        longest_pause: Seconds that a pause grows to.
        longest_request: Seconds that a server may ask us to wait (Retry-After); where it asks for more, give up.
        timeout: Seconds without a byte after which a connection counts as broken.
    """

    attempts: int = 6
    first_pause: float = 1.0
    longest_pause: float = 30.0
    longest_request: float = 300.0
    timeout: float = 30.0


class Unreachable(Exception):  # noqa: N818 - fetch.py turns it into the error that the user sees
    """The server could not be had, or would not give the file; says why in a few words."""


class _Passing(Exception):  # noqa: N818 - a state of the server, which never leaves this module
    """Something that may be over in a while; `pause` is how many seconds the server asks us to wait."""

    def __init__(self, reason: str, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.pause = pause


class Transfer:
    """The transfer of one file into a partial.

    Args:
        url: Where the file is.
        partial: Receives the bytes; what is there already is kept if it is of the server's present version.
        size: Bytes of the file where they are known beforehand.
        progress: Is told of every byte, those that were there already included.
    """

    def __init__(self, url: str, partial: Partial, size: int | None, progress: Progress) -> None:
        self._url = url
        self._partial = partial
        self._size = size
        self._progress = progress
        self._started = False
        self._most = partial.size
        self._fruitless = 0

    def run(self, patience: Patience, conditions: Mapping[str, str]) -> Origin | None:
        """Bring the whole file.

        Args:
            patience: How long to keep trying.
            conditions: Headers that tell the server which version we have; none if we have none.

        Returns:
            What version the partial now holds whole, or None if the server says that ours is the present one.

        Raises:
            Unreachable: The server could not be had, or would not give the file.
            DownloadError: The server's file has another size than expected.
        """
        growing = wait_exponential(multiplier=patience.first_pause, max=patience.longest_pause)
        retrying = Retrying(
            retry=retry_if_exception(lambda exc: _is_passing(exc, patience)),
            stop=lambda _: self._fruitless >= patience.attempts,
            wait=lambda state: max(growing(state), _asked_pause(state)),
            before_sleep=self._tell_pause,
            reraise=True,
        )
        try:
            with httpx.Client(timeout=patience.timeout, follow_redirects=True) as client:
                return retrying(self._attempt, client, conditions)
        except (_Passing, httpx.HTTPError, httpx.InvalidURL) as exc:
            attempts = retrying.statistics["attempt_number"]
            times = "once" if attempts == 1 else f"{attempts} times"
            raise Unreachable(f"tried {times}, last: {exc or type(exc).__name__}") from exc

    def _tell_pause(self, state: RetryCallState) -> None:
        cause = state.outcome.exception() if state.outcome else None
        _log.warning("%s: %s; trying again in %.0f s", self._url, cause or type(cause).__name__, state.upcoming_sleep)

    def _attempt(self, client: httpx.Client, conditions: Mapping[str, str]) -> Origin | None:
        try:
            return self._request(client, conditions)
        finally:
            # Only bytes beyond all earlier ones count: a server that always breaks off at the same place must not
            # keep us for ever.
            self._fruitless = 0 if self._partial.size > self._most else self._fruitless + 1
            self._most = max(self._most, self._partial.size)

    def _request(self, client: httpx.Client, conditions: Mapping[str, str]) -> Origin | None:
        held = self._resumable()
        if held and self._partial.size == self._size:
            self._start(self._size)
            return held
        headers = {"Accept-Encoding": "identity"}
        if held and held.validator:
            headers |= {"Range": f"bytes={self._partial.size}-", "If-Range": held.validator}
        else:
            headers |= conditions
        with client.stream("GET", self._url, headers=headers) as response:
            if response.status_code == httpx.codes.NOT_MODIFIED and not held and conditions:
                return None
            if response.status_code == httpx.codes.OK:
                return self._receive_all(response)
            if held and response.status_code == httpx.codes.PARTIAL_CONTENT:
                return self._receive_rest(response, held)
            if held and response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                return self._settle(response, held)
            raise _refusal(response)

    def _resumable(self) -> Origin | None:
        """Where the bytes that are there come from, if more can be appended to them; drops them if not."""
        held = self._partial.origin()
        fits = self._size is None or self._partial.size <= self._size
        if held and held.url == self._url and held.validator and fits:
            return held
        self._partial.clear()
        return None

    def _receive_all(self, response: httpx.Response) -> Origin:
        length = response.headers.get("Content-Length", "")
        total = int(length) if length.isdigit() else None
        self._check(total)
        origin = _origin(self._url, response)
        self._partial.begin(origin)
        self._started = False
        self._receive(response, total or self._size)
        return origin

    def _receive_rest(self, response: httpx.Response, held: Origin) -> Origin:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        # Some servers take Range and ignore If-Range: compare the version ourselves.
        other = _origin(self._url, response).validator not in {None, held.validator}
        if other or not found or int(found[1]) != self._partial.size:
            raise self._start_over("the file on the server changed during the transfer")
        total = int(found[2]) if found[2].isdigit() else None
        self._check(total)
        self._receive(response, total or self._size)
        return held

    def _settle(self, response: httpx.Response, held: Origin) -> Origin:
        """Judge the answer that there is nothing after our last byte: we have all of it, or too much."""
        if response.headers.get("Content-Range") != f"bytes */{self._partial.size}":
            raise self._start_over("the file on the server became shorter during the transfer")
        self._start(self._partial.size)
        return held

    def _receive(self, response: httpx.Response, total: int | None) -> None:
        self._start(total or 0)
        # Raw: where a server calls a .tgz "gzip-encoded", the file is the bytes as they lie on the server.
        for chunk in response.iter_raw():
            self._partial.append(chunk)
            self._progress.advance(len(chunk))
        # A server may send less of the rest than was asked for, and a body without a length may just end.
        if total is not None and self._partial.size < total:
            raise _Passing(f"the server sent {self._partial.size:,} of {total:,} bytes")

    def _start(self, total: int) -> None:
        if not self._started:
            self._progress.start(total, "B")
            self._progress.advance(self._partial.size)
            self._started = True

    def _start_over(self, reason: str) -> _Passing:
        self._partial.clear()
        return _Passing(reason)

    def _check(self, total: int | None) -> None:
        if total is not None and self._size is not None and total != self._size:
            raise DownloadError(
                f"{self._url} has {total:,} bytes where {self._size:,} are expected: the server has another file now, "
                "or a page about an error. Open it in a browser; if the new file is right, mend data/catalog.toml."
            )


def _origin(url: str, response: httpx.Response) -> Origin:
    return Origin(url, response.headers.get("ETag"), response.headers.get("Last-Modified"))


def _refusal(response: httpx.Response) -> Exception:
    reason = f"the server answered {response.status_code} {response.reason_phrase}".rstrip()
    if response.is_server_error or response.status_code in _TRANSIENT:
        return _Passing(reason, _retry_after(response))
    return Unreachable(reason)


def _retry_after(response: httpx.Response) -> float:
    """Seconds that a server asks us to wait; it may give them, or a date (RFC 9110, 10.2.3)."""
    text = response.headers.get("Retry-After", "")
    if text.isdigit():
        return float(text)
    try:
        then = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    now = datetime.fromtimestamp(time.time(), UTC)
    return max(0.0, (then.replace(tzinfo=then.tzinfo or UTC) - now).total_seconds())


def _is_passing(exc: BaseException, patience: Patience) -> bool:
    if isinstance(exc, _Passing):
        return exc.pause <= patience.longest_request
    return isinstance(exc, httpx.TransportError) and not isinstance(exc, httpx.UnsupportedProtocol)


def _asked_pause(state: RetryCallState) -> float:
    exc = state.outcome.exception() if state.outcome else None
    return exc.pause if isinstance(exc, _Passing) else 0.0
