"""HTTP client: proxies and certificates of the environment, checked redirects, and no wait without end."""

import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from threading import Event, Timer
from typing import Any

import httpx
from socksio.exceptions import SOCKSError

from tasks.download.certificates import certificate_error, environment_tls
from tasks.download.proxies import Proxy, proxy_for
from tasks.download.responses import is_transient
from tasks.download.retry_policy import FetchError, TransientError

_MAX_REDIRECTS = 20
#: OpenSSL's reasons for a peer that speaks no TLS, or none that is still safe.
_NO_TLS = {"WRONG_VERSION_NUMBER", "UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION"}
#: httpcore's messages for permanent refusals of a SOCKS proxy.
_SOCKS_REFUSALS = ("not allowed by ruleset", "Command not supported", "Address type not supported")
_SOCKS_LOGIN = ("Requested ", "Invalid username")


@contextmanager
def open_response(
    client: httpx.Client, url: str, headers: Mapping[str, str], timeout: float
) -> Iterator[httpx.Response]:
    """Request a file and yield the response, whose body is still to be read.

    The client is to follow no redirects: httpx would read their bodies into memory, however long they are. A server
    must begin to answer within `timeout` seconds.

    Raises:
        TransientError: The server does not answer in time.
        FetchError: It redirects for ever, from https to http, or to another protocol.
    """
    request = client.build_request("GET", url, headers=dict(headers))
    for _ in range(_MAX_REDIRECTS):
        response = _send(client, request, timeout)
        try:
            redirected = response.next_request
            if redirected is None:
                yield response
                return
        finally:
            response.close()
        if redirected.url.scheme not in {"http", "https"}:
            raise FetchError(f"the server redirects to {redirected.url.scheme[:20]}, which is no website")
        if (request.url.scheme, redirected.url.scheme) == ("https", "http"):
            raise FetchError("the server redirects from https to http, where anybody on the way could change the file")
        request = redirected
    raise FetchError(f"the server redirects more than {_MAX_REDIRECTS} times")


def _send(client: httpx.Client, request: httpx.Request, timeout: float) -> httpx.Response:
    """Send a request; httpx itself waits for ever where a byte of the response comes now and then."""
    streams: list[Any] = []
    expired = Event()

    def remember(event: str, info: Mapping[str, Any]) -> None:
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            streams.append(info["return_value"])

    def expire() -> None:
        if streams and (connection := streams[-1].get_extra_info("socket")) is not None:
            expired.set()
            # The thread that reads from it gets an error at once.
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    request.extensions = {**request.extensions, "trace": remember}
    timer = Timer(timeout, expire)
    timer.daemon = True
    timer.start()
    try:
        return client.send(request, stream=True)
    except Exception as exc:
        # httpcore leaves the connection to a proxy open that does not connect to the server.
        if streams:
            streams[-1].close()
        if expired.is_set() and isinstance(exc, httpx.TransportError):
            raise TransientError(f"the server did not answer within {timeout:g} s") from exc
        raise
    finally:
        timer.cancel()


class EnvironmentTransport(httpx.BaseTransport):
    """Sends each request through the proxy that the environment names for it, with the authorities that it names.

    A variable is read only when a request needs it. No connection is used again.
    """

    def __init__(self) -> None:
        self._transports: dict[tuple[Proxy | None, bool], httpx.HTTPTransport] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request.

        Raises:
            FetchError: It failed for a reason that waiting cannot change: a variable, a certificate, a refusal.
            httpx.TransportError: It failed otherwise; the message names the proxy.
        """
        proxy = proxy_for(request.url)
        transport = self._transport(proxy, request.url.scheme == "https")
        try:
            response = transport.handle_request(request)
        except httpx.TransportError as exc:
            error = _explain(exc, proxy, request.url.host)
            if error is None:
                raise
            raise error from exc
        except SOCKSError as exc:
            raise httpx.ProxyError(f"the proxy {proxy} does not answer as a SOCKS5 proxy does") from exc
        except (UnicodeError, OverflowError) as exc:
            # httpx does not check whether a part of it is empty or too long.
            raise FetchError("its host is no valid name") from exc
        if proxy and response.status_code == httpx.codes.PROXY_AUTHENTICATION_REQUIRED:
            response.close()
            raise _login_error(proxy)
        return response

    def close(self) -> None:
        """Close all connections."""
        for transport in self._transports.values():
            transport.close()

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return environment_tls()

    def _transport(self, proxy: Proxy | None, secure: bool) -> httpx.HTTPTransport:
        key = proxy, secure
        if key not in self._transports:
            # Without TLS no certificate is needed: the other context trusts nobody, and reads no file.
            tls = self._tls if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            proxy_tls = self._tls if _uses_tls(proxy) else None
            through = httpx.Proxy(proxy.url, auth=proxy.auth, ssl_context=proxy_tls) if proxy else None
            # Each request opens a connection: its deadline learns of the connection when it is opened.
            limits = httpx.Limits(max_keepalive_connections=0)
            self._transports[key] = httpx.HTTPTransport(verify=tls, trust_env=False, limits=limits, proxy=through)
        return self._transports[key]


def _explain(exc: httpx.TransportError, proxy: Proxy | None, host: str) -> Exception | None:
    """Return an error that names the proxy, or one that is not retried; None where the error says enough."""
    through = f", through the proxy {proxy}" if proxy else ""
    cause: BaseException | None = exc
    while cause and not isinstance(cause, ssl.SSLError):
        # httpcore hides some causes by `from None`.
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return certificate_error(cause, f"{host}, or of the proxy {proxy}," if _uses_tls(proxy) else host)
    if isinstance(cause, ssl.SSLError) and cause.reason in _NO_TLS:
        return FetchError(
            f"there is no TLS that can be used{through}", "Check whether it should be http:// in place of https://"
        )
    if proxy and isinstance(exc, httpx.ProxyError):
        return _refusal(f"{exc}", proxy) or type(exc)(f"the proxy {proxy} answered: {exc}")
    return type(exc)(f"{f'{exc}' or type(exc).__name__}{through}") if proxy else None


def _refusal(answer: str, proxy: Proxy) -> FetchError | None:
    """Return the error for an answer that a proxy will give again; None where it may give another one later."""
    status = re.match("[0-9]{3}", answer)
    if answer.startswith(_SOCKS_LOGIN) or (status and status[0] == "407"):
        return _login_error(proxy)
    if any(refusal in answer for refusal in _SOCKS_REFUSALS) or (status and not is_transient(int(status[0]))):
        return FetchError(
            f"the proxy {proxy} refuses: {answer}", "Ask whoever runs the proxy, or except the host in NO_PROXY,"
        )
    return None


def _login_error(proxy: Proxy) -> FetchError:
    if proxy.auth:
        return FetchError(f"the proxy {proxy} does not accept its user and password", f"Mend {proxy.variable}")
    scheme, _, place = proxy.url.partition("://")
    return FetchError(
        f"the proxy {proxy} asks for a user and a password",
        f"Write them into {proxy.variable}, as in {scheme}://user:password@{place},",
    )


def _uses_tls(proxy: Proxy | None) -> bool:
    return proxy is not None and proxy.url.startswith("https:")
