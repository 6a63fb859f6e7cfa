"""Send requests through the proxies of the environment, and tell errors that may pass from those that cannot."""

import re
import ssl
from collections.abc import Iterator
from functools import cached_property

import httpx
from socksio.exceptions import SOCKSError

from tasks.download.certificates import trust_environment, untrusted
from tasks.download.proxies import EnvironmentProxies, Proxy
from tasks.download.responses import FetchError, is_transient

#: What OpenSSL calls a peer that speaks no TLS, or none that is still taken for safe.
_NO_TLS = {"WRONG_VERSION_NUMBER", "UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION"}
#: How httpcore words what a SOCKS proxy will not do however often it is asked.
_SOCKS_REFUSALS = ("not allowed by ruleset", "Command not supported", "Address type not supported")
_SOCKS_LOGIN = ("Requested ", "Invalid username")


class EnvironmentTransport(httpx.BaseTransport):
    """Sends each request through the proxy that the environment names for it, trusting the certificates it names.

    A variable is read only when a request needs it. No connection is used again.
    """

    def __init__(self) -> None:
        self._proxies = EnvironmentProxies()
        self._transports: dict[tuple[Proxy | None, bool], httpx.HTTPTransport] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request.

        Raises:
            Unreachable: It failed for a reason that waiting cannot change: a variable, a certificate, a refusal.
            httpx.TransportError: It failed otherwise; the message names the proxy.
        """
        proxy = self._proxies.proxy_for(request.url)
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
            # A part of it may be empty or too long, which httpx does not check.
            raise FetchError("its host is no valid name") from exc
        if proxy and response.status_code == httpx.codes.PROXY_AUTHENTICATION_REQUIRED:
            response.close()
            raise _login_error(proxy)
        return response

    def close(self) -> None:
        """Close what was opened."""
        for transport in self._transports.values():
            transport.close()

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return trust_environment()

    def _transport(self, proxy: Proxy | None, secure: bool) -> httpx.HTTPTransport:
        key = proxy, secure
        if key not in self._transports:
            # Without TLS no certificate is needed: the other one trusts nobody, and reads no file.
            tls = self._tls if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            own_tls = self._tls if _speaks_tls(proxy) else None
            through = httpx.Proxy(proxy.url, auth=proxy.auth, ssl_context=own_tls) if proxy else None
            # Each request opens a connection: the timer that closes a slow one learns of it when it is opened.
            limits = httpx.Limits(max_keepalive_connections=0)
            self._transports[key] = httpx.HTTPTransport(verify=tls, trust_env=False, limits=limits, proxy=through)
        return self._transports[key]


def _explain(exc: httpx.TransportError, proxy: Proxy | None, host: str) -> Exception | None:
    """An error that names the proxy, or one that is not tried again; None where there is neither to be said."""
    through = f", through the proxy {proxy}" if proxy else ""
    cause = next((one for one in _causes(exc) if isinstance(one, ssl.SSLError)), None)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return untrusted(cause, f"{host}, or of the proxy {proxy}," if _speaks_tls(proxy) else host)
    if cause and cause.reason in _NO_TLS:
        return FetchError(
            f"there is no TLS that can be used{through}", "Check whether it should be http:// in place of https://"
        )
    if proxy and isinstance(exc, httpx.ProxyError):
        return _refusal(f"{exc}", proxy) or type(exc)(f"the proxy {proxy} answered: {exc}")
    return type(exc)(f"{f'{exc}' or type(exc).__name__}{through}") if proxy else None


def _refusal(answer: str, proxy: Proxy) -> FetchError | None:
    """The error of an answer that a proxy will give again; None where it may give another one later."""
    status = re.match("[0-9]{3}", answer)
    if answer.startswith(_SOCKS_LOGIN) or (status and status[0] == "407"):
        return _login_error(proxy)
    if any(told in answer for told in _SOCKS_REFUSALS) or (status and not is_transient(int(status[0]))):
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


def _speaks_tls(proxy: Proxy | None) -> bool:
    return proxy is not None and proxy.url.startswith("https:")


def _causes(exc: BaseException | None) -> Iterator[BaseException]:
    """An exception and what led to it, what httpcore hides by `from None` too, unlike `exception_chain`."""
    while exc is not None:
        yield exc
        exc = exc.__cause__ or exc.__context__
