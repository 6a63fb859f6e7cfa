"""Bring a file's bytes over HTTP: resumed where it broke off, tried again where that may help."""

import logging
from collections.abc import Mapping

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_exponential

from tasks.download import limits
from tasks.download.limits import megabytes
from tasks.download.partial import Origin, Partial
from tasks.download.requests import open_response
from tasks.download.responses import FetchError, TransientError, length_of, origin_of, range_of, refusal_of
from tasks.download.retry_policy import RateMonitor, RetryPolicy
from tasks.download.transport import EnvironmentTransport
from tasks.download.urls import identity, shown
from tasks.errors import DownloadError, MachineError
from tasks.progress import Progress

_log = logging.getLogger(__name__)
# They would log whole URLs, tokens included.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


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
        self._identity = identity(url)
        self._partial = partial
        self._size = size
        self._progress = progress
        self._started = False
        self._most = partial.size
        self._fruitless = 0

    def run(self, patience: RetryPolicy, conditions: Mapping[str, str]) -> Origin | None:
        """Bring the whole file.

        Args:
            patience: How long to keep trying.
            conditions: Headers that tell the server which version we have; none if we have none.

        Returns:
            What version the partial now holds whole, or None if the server says that ours is the present one.

        Raises:
            Unreachable: The server could not be had, or would not give the file.
            DownloadError: The server's file has another size than expected, or is too large.
            MachineError: The disk has no room for it.
        """
        pace = RateMonitor(patience)
        growing = wait_exponential(multiplier=patience.first_pause, max=patience.longest_pause)
        retrying = Retrying(
            retry=retry_if_exception(lambda exc: _is_passing(exc, patience)),
            stop=lambda _: self._fruitless >= patience.attempts or pace.is_over,
            wait=lambda state: max(growing(state), _asked_pause(state)),
            before_sleep=self._tell_pause,
            reraise=True,
        )
        try:
            with httpx.Client(timeout=patience.timeout, transport=EnvironmentTransport()) as client:
                return retrying(self._attempt, client, conditions, patience, pace)
        except (TransientError, httpx.HTTPError, httpx.InvalidURL) as exc:
            attempts = retrying.statistics["attempt_number"]
            times = "once" if attempts == 1 else f"{attempts} times"
            raise FetchError(f"tried {times}, last: {_reason(exc)}") from exc

    def _tell_pause(self, state: RetryCallState) -> None:
        cause = state.outcome.exception() if state.outcome else None
        reason = _reason(cause) if cause else ""
        _log.warning("%s: %s; trying again in %.0f s", shown(self._url), reason, state.upcoming_sleep)

    def _attempt(
        self, client: httpx.Client, conditions: Mapping[str, str], patience: RetryPolicy, pace: RateMonitor
    ) -> Origin | None:
        try:
            held = self._resumable()
            if held and self._partial.size == self._size:
                self._start(self._size)
                return held
            headers = {"Accept-Encoding": "identity"}
            if held and held.validator:
                headers |= {"Range": f"bytes={self._partial.size}-", "If-Range": held.validator}
            else:
                headers |= conditions
            with open_response(client, self._url, headers, patience.timeout) as response:
                return self._take(response, held, conditions, pace)
        finally:
            # Only bytes beyond all earlier ones count, and only more than a few: a server that always breaks off at the
            # same place, or hands out byte after byte, must not keep us for ever.
            self._fruitless = 0 if self._partial.size > self._most + patience.least else self._fruitless + 1
            self._most = max(self._most, self._partial.size)

    def _take(
        self, response: httpx.Response, held: Origin | None, conditions: Mapping[str, str], pace: RateMonitor
    ) -> Origin | None:
        if response.status_code == httpx.codes.NOT_MODIFIED and not held and conditions:
            return None
        if response.status_code == httpx.codes.OK:
            return self._receive_all(response, pace)
        if held and response.status_code == httpx.codes.PARTIAL_CONTENT:
            return self._receive_rest(response, held, pace)
        if held and response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            return self._settle(response, held)
        raise refusal_of(response)

    def _resumable(self) -> Origin | None:
        """Where the bytes that are there come from, if more can be appended to them; drops them if not."""
        held = self._partial.origin()
        if held and held.url == self._identity and held.validator:
            sizes = {self._size, held.total} - {None}
            if len(sizes) < 2 and all(self._partial.size <= size for size in sizes if size is not None):
                return held
        self._partial.clear()
        return None

    def _receive_all(self, response: httpx.Response, pace: RateMonitor) -> Origin:
        total = length_of(response)
        self._check(total)
        if self._size is None and response.headers.get("Content-Type", "").lower().startswith("text/html"):
            raise FetchError("the server sent a web page in place of the file")
        origin = origin_of(self._identity, response, total)
        self._partial.begin(origin)
        self._started = False
        expected = self._size if total is None else total
        self._receive(response, expected, expected, pace)
        if not self._partial.size:
            raise TransientError("the server sent an empty file")
        return origin

    def _receive_rest(self, response: httpx.Response, held: Origin, pace: RateMonitor) -> Origin:
        sent = range_of(response)
        # Some servers take Range and ignore If-Range: compare the version ourselves. A server that was asked by the
        # date need not repeat it (RFC 9110, 15.3.7).
        version = origin_of(self._identity, response, None).validator
        same = version == held.validator or (version is None and held.validator == held.last_modified)
        if not same or not sent or sent.start != self._partial.size or len({sent.total, held.total} - {None}) > 1:
            raise self._start_over("the file on the server changed during the transfer")
        total = held.total if sent.total is None else sent.total
        self._check(total)
        self._receive(response, sent.end, self._size if total is None else total, pace)
        return held

    def _settle(self, response: httpx.Response, held: Origin) -> Origin:
        """Judge the answer that there is nothing after our last byte: we have all of it, or too much."""
        whole = f"bytes */{self._partial.size}"
        if response.headers.get("Content-Range") != whole or held.total not in {None, self._partial.size}:
            raise self._start_over("the file on the server became shorter during the transfer")
        self._start(self._partial.size)
        return held

    def _receive(self, response: httpx.Response, end: int | None, total: int | None, pace: RateMonitor) -> None:
        """Append an answer's bytes.

        Args:
            response: The answer.
            end: Where in the file they must end at the latest; None where nobody knows.
            total: How many bytes the file has; None likewise.
            pace: Is told of the bytes.
        """
        size = self._partial.size
        room = size + self._partial.room()
        self._check_room(total or 0, room)
        self._start(total or 0)
        pace.begin()
        # Raw: where a server calls a .tgz "gzip-encoded", the file is the bytes as they lie on the server.
        for chunk in response.iter_raw():
            size += len(chunk)
            if end is not None and size > end:
                raise self._start_over(f"the server sent more than the {end:,} bytes that it should")
            self._check_room(size, room)
            self._partial.append(chunk)
            self._progress.advance(len(chunk))
            pace.count(len(chunk))
        # A server may send less of the rest than was asked for, and a body without a length may just end.
        if total is not None and size < total:
            raise TransientError(f"the server sent {size:,} of {total:,} bytes")

    def _check_room(self, size: int, room: int) -> None:
        """Check that so many bytes may be taken; what has come of a file that is too large is of no use."""
        if size > limits.MAX_BYTES:
            self._partial.clear()
            raise DownloadError(
                f"{shown(self._url)} has more than {megabytes(limits.MAX_BYTES)}, the most that is fetched. Fetch and "
                "extract it yourself where you trust it, and give the folder to --dataset."
            )
        if size > room:
            self._partial.clear()
            raise MachineError(
                f"{shown(self._url)} has more than the {megabytes(room)} that there is room for on the disk. Free "
                "some, or move the data root to a larger disk, and run again."
            )

    def _start(self, total: int) -> None:
        if not self._started:
            self._progress.start(total, "B")
            self._progress.advance(self._partial.size)
            self._started = True

    def _start_over(self, reason: str) -> TransientError:
        self._partial.clear()
        return TransientError(reason)

    def _check(self, total: int | None) -> None:
        if total is not None and self._size is not None and total != self._size:
            raise DownloadError(
                f"{shown(self._url)} has {total:,} bytes where {self._size:,} are expected: the server has another "
                "file now, or a page about an error. Open it in a browser; if the new file is right, give "
                "its size and hash in data/catalog.toml."
            )


def _reason(exc: BaseException) -> str:
    """Why an attempt failed, in a few words; httpx may quote all that a server sent."""
    if isinstance(exc, httpx.InvalidURL):
        return "it is no valid URL"
    text = str(exc) or type(exc).__name__
    return text if len(text) <= 200 else f"{text[:200]}…"


def _is_passing(exc: BaseException, patience: RetryPolicy) -> bool:
    if isinstance(exc, TransientError):
        return exc.pause <= patience.longest_request
    return isinstance(exc, httpx.TransportError) and not isinstance(exc, httpx.UnsupportedProtocol)


def _asked_pause(state: RetryCallState) -> float:
    exc = state.outcome.exception() if state.outcome else None
    return exc.pause if isinstance(exc, TransientError) else 0.0
