"""Transfer of a file over HTTP: resumed where it broke off, retried where that may help."""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_exponential

from tasks.download import limits
from tasks.download.http_client import EnvironmentTransport, open_response
from tasks.download.limits import megabytes, writable_bytes
from tasks.download.partial import Origin, Partial
from tasks.download.responses import content_length, content_range, origin_of, status_error
from tasks.download.retry_policy import FetchError, RetryPolicy, TransientError
from tasks.download.urls import redact_url, url_identity
from tasks.errors import DownloadError, MachineError
from tasks.progress import Progress

_log = logging.getLogger(__name__)


class Transfer:
    """The transfer of one file, whose size may be known, into a partial.

    The bytes that are there are kept if they are of the server's present version; progress counts them too.
    """

    def __init__(self, url: str, partial: Partial, size: int | None, progress: Progress, policy: RetryPolicy) -> None:
        self._url = url
        self._shown = redact_url(url)
        self._identity = url_identity(url)
        self._partial = partial
        self._size = size
        self._progress = progress
        self._policy = policy
        self._end = time.monotonic() + policy.max_seconds
        self._started = False
        self._largest = partial.size
        self._attempts_without_progress = 0

    def run(self, conditions: Mapping[str, str]) -> Origin | None:
        """Fetch the whole file, if it is another version than the one that the headers `conditions` name.

        Returns:
            The version that the partial holds whole, or None if the server says that the one here is up to date.

        Raises:
            FetchError: The file could not be fetched.
            DownloadError: The server's file has another size than expected, or is too large.
            MachineError: The disk has no room for it.
        """
        # httpx would log whole URLs, tokens included.
        for name in ("httpx", "httpcore"):
            logging.getLogger(name).setLevel(logging.WARNING)
        policy = self._policy
        growing = wait_exponential(multiplier=policy.first_delay, max=policy.max_delay)
        retrying = Retrying(
            retry=retry_if_exception(self._is_transient),
            stop=lambda _: self._attempts_without_progress >= policy.max_attempts or time.monotonic() > self._end,
            wait=lambda state: max(growing(state), getattr(_error(state), "delay", 0.0)),
            before_sleep=lambda state: _log.warning(
                "%s: %s; trying again in %.0f s", self._shown, _reason(_error(state)), state.upcoming_sleep
            ),
            reraise=True,
        )
        try:
            with httpx.Client(timeout=policy.timeout, transport=EnvironmentTransport()) as client:
                return retrying(self._attempt, client, conditions)
        except (TransientError, httpx.HTTPError, httpx.InvalidURL) as exc:
            attempts = retrying.statistics["attempt_number"]
            times = "once" if attempts == 1 else f"{attempts} times"
            raise FetchError(f"tried {times}, last: {_reason(exc)}") from exc

    def _is_transient(self, exc: BaseException) -> bool:
        if isinstance(exc, TransientError):
            return exc.delay <= self._policy.max_retry_after
        return isinstance(exc, httpx.TransportError) and not isinstance(exc, httpx.UnsupportedProtocol)

    def _attempt(self, client: httpx.Client, conditions: Mapping[str, str]) -> Origin | None:
        try:
            origin = self._resumable()
            if origin and self._partial.size == self._size:
                return origin
            headers = {"Accept-Encoding": "identity"}
            if origin and origin.validator:
                headers |= {"Range": f"bytes={self._partial.size}-", "If-Range": origin.validator}
            else:
                headers |= conditions
            with open_response(client, self._url, headers, self._policy.timeout) as response:
                if response.status_code == httpx.codes.NOT_MODIFIED and not origin and conditions:
                    return None
                return self._receive(response, origin)
        finally:
            # Only bytes beyond all earlier ones count, and only more than a few: a server that always breaks off at the
            # same place, or sends byte after byte, must not keep us for ever.
            grown = self._partial.size > self._largest + self._policy.min_bytes
            self._attempts_without_progress = 0 if grown else self._attempts_without_progress + 1
            self._largest = max(self._largest, self._partial.size)

    def _resumable(self) -> Origin | None:
        """Return the version of the bytes that are there, if more can be appended; delete them if not."""
        origin = self._partial.origin()
        if origin and origin.url == self._identity and origin.validator:
            sizes = {self._size, origin.total} - {None}
            if len(sizes) < 2 and all(self._partial.size <= size for size in sizes if size is not None):
                return origin
        self._partial.clear()
        return None

    def _receive(self, response: httpx.Response, origin: Origin | None) -> Origin:
        if response.status_code == httpx.codes.OK:
            return self._receive_all(response)
        if origin and response.status_code == httpx.codes.PARTIAL_CONTENT:
            return self._receive_rest(response, origin)
        if origin and response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            # Nothing follows the last byte: all bytes have come, or too many.
            whole = f"bytes */{self._partial.size}"
            if response.headers.get("Content-Range") != whole or origin.total not in {None, self._partial.size}:
                raise self._restart("the file on the server became shorter during the transfer")
            return origin
        raise status_error(response)

    def _receive_all(self, response: httpx.Response) -> Origin:
        declared = content_length(response)
        total = self._total(declared)
        if self._size is None and response.headers.get("Content-Type", "").lower().startswith("text/html"):
            raise FetchError("the server sent a web page in place of the file")
        origin = origin_of(self._identity, response, declared)
        self._partial.begin(origin)
        self._started = False
        self._append(response, total, total)
        if not self._partial.size:
            raise TransientError("the server sent an empty file")
        return origin

    def _receive_rest(self, response: httpx.Response, origin: Origin) -> Origin:
        sent = content_range(response)
        # Some servers take Range and ignore If-Range: compare the version ourselves. A server that was asked by the
        # date need not repeat it (RFC 9110, 15.3.7).
        version = origin_of(self._identity, response, None).validator
        same = version == origin.validator or (version is None and origin.validator == origin.last_modified)
        if not same or not sent or sent.start != self._partial.size or len({sent.total, origin.total} - {None}) > 1:
            raise self._restart("the file on the server changed during the transfer")
        self._append(response, sent.end, self._total(origin.total if sent.total is None else sent.total))
        return origin

    def _total(self, declared: int | None) -> int | None:
        """Return the bytes of the file that the server declares, or else those that are expected."""
        if declared is None or self._size in {None, declared}:
            return self._size if declared is None else declared
        raise DownloadError(
            f"{self._shown} has {declared:,} bytes where {self._size:,} are expected: the server has another file now, "
            "or a page about an error. Open it in a browser; if the new file is right, give its size and hash in "
            "data/catalog.toml."
        )

    def _append(self, response: httpx.Response, end: int | None, total: int | None) -> None:
        """Append the bytes of a response, at most up to `end`, of a file of `total` bytes; each may be unknown."""
        size = self._partial.size
        room = size + writable_bytes(self._partial.path.parent)
        self._check_room(total or 0, room)
        if not self._started:
            self._progress.start(total or 0, "B")
            self._progress.advance(size)
            self._started = True
        # Raw: where a server calls a .tgz "gzip-encoded", the file is the bytes as they lie on the server.
        for chunk in self._check_rate(response.iter_raw()):
            size += len(chunk)
            if end is not None and size > end:
                raise self._restart(f"the server sent more than the {end:,} bytes that it should")
            self._check_room(size, room)
            self._partial.append(chunk)
            self._progress.advance(len(chunk))
        # A server may send less of the rest than was requested, and a body without a length may just end.
        if total is not None and size < total:
            raise TransientError(f"the server sent {size:,} of {total:,} bytes")

    def _check_rate(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield chunks as they come; raise an error where they come too slowly or the time for the file is over."""
        since, received = time.monotonic(), 0
        for chunk in chunks:
            yield chunk
            received += len(chunk)
            now = time.monotonic()
            if now - since > self._policy.timeout:
                if received < self._policy.min_bytes:
                    raise TransientError(f"the server sent {received:,} bytes in {now - since:.0f} s")
                since, received = now, 0
            if now > self._end:
                raise FetchError(f"it was not whole after {self._policy.max_seconds / 3600:.3g} hours")

    def _check_room(self, size: int, room: int) -> None:
        """Check that so many bytes may be taken; the first bytes of a file that is too large are of no use."""
        if size > limits.MAX_BYTES:
            self._partial.clear()
            raise DownloadError(
                f"{self._shown} has more than {megabytes(limits.MAX_BYTES)}, the most that is fetched. Fetch and "
                "extract it yourself where you trust it, and give the folder to --dataset."
            )
        if size > room:
            self._partial.clear()
            raise MachineError(
                f"{self._shown} has more than the {megabytes(room)} that there is room for on the disk. Free "
                "some, or move the data root to a larger disk, and run again."
            )

    def _restart(self, reason: str) -> TransientError:
        self._partial.clear()
        return TransientError(reason)


def _reason(exc: BaseException | None) -> str:
    """Return the cause of a failed attempt in a few words; httpx may quote all that a server sent."""
    if isinstance(exc, httpx.InvalidURL):
        return "it is no valid URL"
    text = str(exc) or type(exc).__name__
    return text if len(text) <= 200 else f"{text[:200]}…"


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
