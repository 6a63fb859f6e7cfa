"""Proxies as the environment names them: `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, in either case.

A proxy that cannot be used is an error only for a request that would go through it.
"""

import ipaddress
import os
import re
from dataclasses import dataclass, field
from urllib.parse import unquote
from urllib.request import getproxies

import httpx

from tasks.download.responses import FetchError

#: What a variable may call a kind of proxy, and what httpx calls it, which lets every SOCKS5 proxy resolve names. GNOME
#: sets `socks://` for its SOCKS proxy.
_SCHEMES = {"http": "http", "https": "https", "socks": "socks5", "socks5": "socks5", "socks5h": "socks5"}
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_HOST_AND_PORT = re.compile(r"(\[[0-9a-fA-F:.]+\]|[\w.-]+)(?::([0-9]{0,5}))?")
_DEFAULT_PORTS = {"http": 80, "https": 443}
#: Bytes that SOCKS5 has room for in a user and in a password (RFC 1929).
_MAX_SOCKS_BYTES = 255


@dataclass(frozen=True)
class Proxy:
    """A proxy that can be used.

    Args:
        variable: The environment variable that names it.
        shown: The variable's value for people, without user and password.
        url: Scheme, host and port.
        auth: User and password, if it has them.
    """

    variable: str
    shown: str
    url: str
    auth: tuple[str, str] | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"{self.variable}={self.shown}"


class EnvironmentProxies:
    """The proxies that the environment names at this moment; on macOS those of the system where it names none."""

    def __init__(self) -> None:
        self._given = getproxies()
        # curl separates by spaces too.
        self._exempt = re.split(r"[\s,]+", self._given.get("no", ""))

    def proxy_for(self, url: httpx.URL) -> Proxy | None:
        """The proxy that a request goes through; None where it goes to the server itself.

        Raises:
            Unreachable: The variable's value is no proxy that can be used.
        """
        for kind in (url.scheme, "all"):
            value = self._given.get(kind, "").strip()
            if value:
                return None if self._is_exempt(url) else _proxy(_variable_of(kind), value)
        return None

    def _is_exempt(self, url: httpx.URL) -> bool:
        return any(entry == "*" or _exempts(entry, url) for entry in self._exempt)


def without_credentials(value: str) -> str:
    """A proxy's URL for people, well-formed or not: no user, no password, no path, nothing that is not printable."""
    found = _SCHEME.match(value)
    scheme = found[0] if found else ""
    bare = re.split("[/?#]", value[len(scheme) :].rpartition("@")[2], maxsplit=1)[0]
    host = re.match(r"\[[^\]]*\]|[^:]*", bare)
    port = bare[host.end() :] if host else ""
    # Where there is no host behind them, this may be a user and a password.
    if port and not re.fullmatch(":[0-9]*", port):
        bare = f"{bare[: -len(port)]}:…"
    return "".join(letter if letter.isprintable() else "?" for letter in f"{scheme}{bare}")[:200]


def _variable_of(kind: str) -> str:
    """The name of the variable that urllib takes a proxy from: the lower-case one where both are set."""
    name = f"{kind}_proxy"
    if os.environ.get(name):
        return name
    return next((other for other, value in os.environ.items() if other.lower() == name and value), "system settings")


def _proxy(variable: str, value: str) -> Proxy:
    found = _SCHEME.match(value)
    scheme = found[1].lower() if found else "http"
    rest = value[found.end() :] if found else value
    if scheme not in _SCHEMES:
        raise _unusable(variable, value, f"only {', '.join(_SCHEMES)} can be used")
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    if "@" in rest and "@" not in authority:
        raise _unusable(variable, value, "in its user and password, / ? and # have to be written as %2F, %3F and %23")
    userinfo, _, place = authority.rpartition("@")
    user, _, password = map(unquote, userinfo.partition(":"))
    try:
        longest = max(len(user.encode()), len(password.encode()))
    except UnicodeEncodeError:
        raise _unusable(variable, value, "its user or password is not UTF-8") from None
    if _SCHEMES[scheme] == "socks5" and longest > _MAX_SOCKS_BYTES:
        raise _unusable(variable, value, f"its user or password has more than {_MAX_SOCKS_BYTES} bytes")
    if not _is_host_and_port(place):
        raise _unusable(variable, value, f"it is not of the form {scheme}://host:port")
    auth = (user, password) if user or password else None
    return Proxy(variable, without_credentials(value), f"{_SCHEMES[scheme]}://{place}", auth)


def _is_host_and_port(text: str) -> bool:
    found = _HOST_AND_PORT.fullmatch(text)
    if found is None or not (found[2] is None or found[2] == "" or 0 < int(found[2]) < 2**16):
        return False
    try:
        if found[1].startswith("["):
            ipaddress.IPv6Address(found[1][1:-1])
        httpx.URL(f"http://{text}").host.encode("idna")
    except (ValueError, httpx.InvalidURL):
        return False
    return True


def _unusable(variable: str, value: str, why: str) -> FetchError:
    return FetchError(
        f"the proxy {variable}={without_credentials(value)} cannot be used: {why}", f"Mend or unset {variable}"
    )


def _exempts(entry: str, url: httpx.URL) -> bool:
    """Whether an entry of `NO_PROXY` is about a URL: a name with all below it, an address, or a network.

    An entry may have a scheme before it and a port behind it. One that makes no sense is about nothing.
    """
    scheme, _, place = entry.lower().rstrip("/").rpartition("://")
    if scheme not in {"", "all", url.scheme}:
        return False
    found = re.fullmatch(r"(\[[^\]]+\]|[^:]+):([0-9]+)", place)
    place, port = found.groups() if found else (place, None)
    if port is not None and port != str(url.port or _DEFAULT_PORTS.get(url.scheme)):
        return False
    try:
        network = ipaddress.ip_network(re.sub(r"[\[\]]", "", place), strict=False)
    except ValueError:
        return _is_below(place, url)
    try:
        return ipaddress.ip_address(url.host) in network
    except ValueError:
        return False


def _is_below(name: str, url: httpx.URL) -> bool:
    """Whether a URL's host is called so, or is below that name; of `.example.org` only what is below it counts."""
    bare = name.removeprefix("*").strip(".")
    # Both as people write it, and as the resolver is asked for it.
    hosts = [host.lower().rstrip(".") for host in (url.host, url.raw_host.decode("ascii"))]
    whole = not name.startswith((".", "*."))
    return bool(bare) and any(host.endswith(f".{bare}") or (whole and host == bare) for host in hosts)
