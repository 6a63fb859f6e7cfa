"""Proxies that the environment names: `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, in either case.

httpx reads them too, but knows neither networks nor ports in `NO_PROXY`, and fails for every request where one variable
is invalid. Here a proxy that cannot be used is an error only for a request that would go through it.
"""

import ipaddress
import os
import re
from dataclasses import dataclass, field
from urllib.parse import unquote
from urllib.request import getproxies

import httpx

from tasks.download.retry_policy import FetchError
from tasks.events import escape_control_characters

#: Schemes of the variables, and httpx's names of them, which lets every SOCKS5 proxy resolve names. GNOME sets
#: `socks://` for its SOCKS proxy.
_SCHEMES = {"http": "http", "https": "https", "socks": "socks5", "socks5": "socks5", "socks5h": "socks5"}
_SCHEME = re.compile("[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_HOST_AND_PORT = re.compile(r"(\[[0-9a-fA-F:.]+\]|[\w.-]+)(?::([0-9]{0,5}))?")
_DEFAULT_PORTS = {"http": 80, "https": 443}
#: Bytes that SOCKS5 has room for in a user and in a password (RFC 1929).
_MAX_SOCKS_BYTES = 255


@dataclass(frozen=True)
class Proxy:
    """A proxy that can be used, the environment variable that names it, and its value without user and password."""

    variable: str
    shown: str
    url: str
    auth: tuple[str, str] | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"{self.variable}={self.shown}"


def proxy_for(url: httpx.URL) -> Proxy | None:
    """Find the proxy that a request goes through; None where it goes to the server itself.

    On macOS, where the environment names no proxy, those of the system count.

    Raises:
        FetchError: The variable's value is no proxy that can be used.
    """
    values = getproxies()
    for kind in (url.scheme, "all"):
        if value := values.get(kind, "").strip():
            # curl separates by spaces too.
            exempt = any(entry == "*" or _exempts(entry, url) for entry in re.split(r"[\s,]+", values.get("no", "")))
            return None if exempt else _parse(_variable(kind), value)
    return None


def without_credentials(value: str) -> str:
    """Remove user, password and path from a proxy's URL, well-formed or not."""
    prefix, rest = _split_scheme(value)
    bare = re.split("[/?#]", rest.rpartition("@")[2], maxsplit=1)[0]
    host = re.sub(r"(\[[^\]]*\]|[^:]*).*", r"\1", bare, count=1, flags=re.DOTALL)
    # Anything but a port behind it may be a password.
    if not re.fullmatch("(:[0-9]*)?", bare[len(host) :]):
        bare = f"{host}:…"
    return escape_control_characters(f"{prefix}{bare}")[:200]


def _split_scheme(value: str) -> tuple[str, str]:
    found = _SCHEME.match(value)
    return (found[0], value[found.end() :]) if found else ("", value)


def _variable(kind: str) -> str:
    """Return the name of the variable that urllib takes a proxy from: the lower-case one where both are set."""
    name = f"{kind}_proxy"
    if os.environ.get(name):
        return name
    return next((other for other, value in os.environ.items() if other.lower() == name and value), "system settings")


def _parse(variable: str, value: str) -> Proxy:
    def unusable(cause: str) -> FetchError:
        shown = without_credentials(value)
        return FetchError(f"the proxy {variable}={shown} cannot be used: {cause}", f"Mend or unset {variable}")

    prefix, rest = _split_scheme(value)
    scheme = prefix[:-3].lower() or "http"
    if scheme not in _SCHEMES:
        raise unusable(f"only {', '.join(_SCHEMES)} can be used")
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    if "@" in rest and "@" not in authority:
        raise unusable("in its user and password, / ? and # have to be written as %2F, %3F and %23")
    userinfo, _, place = authority.rpartition("@")
    user, _, password = map(unquote, userinfo.partition(":"))
    try:
        longest = max(len(user.encode()), len(password.encode()))
    except UnicodeEncodeError:
        raise unusable("its user or password is not UTF-8") from None
    if _SCHEMES[scheme] == "socks5" and longest > _MAX_SOCKS_BYTES:
        raise unusable(f"its user or password has more than {_MAX_SOCKS_BYTES} bytes")
    if not _is_host_and_port(place):
        raise unusable(f"it is not of the form {scheme}://host:port")
    auth = (user, password) if user or password else None
    return Proxy(variable, without_credentials(value), f"{_SCHEMES[scheme]}://{place}", auth)


def _is_host_and_port(text: str) -> bool:
    found = _HOST_AND_PORT.fullmatch(text)
    if found is None or not 0 < int(found[2] or 80) < 2**16:
        return False
    try:
        # httpx checks the address of a host in brackets.
        httpx.URL(f"http://{text}").host.encode("idna")
    except (ValueError, httpx.InvalidURL):
        return False
    return True


def _exempts(entry: str, url: httpx.URL) -> bool:
    """Whether an entry of `NO_PROXY` covers a URL: a name with all below it, an address, or a network.

    An entry may have a scheme before it and a port behind it. One that makes no sense covers nothing.
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
    """Whether a URL's host has this name or is a subdomain of it; `.example.org` covers subdomains alone."""
    bare = name.removeprefix("*").strip(".")
    # Both as people write it, and as the resolver is asked for it.
    hosts = [host.lower().rstrip(".") for host in (url.host, url.raw_host.decode("ascii"))]
    whole = not name.startswith((".", "*."))
    return bool(bare) and any(host.endswith(f".{bare}") or (whole and host == bare) for host in hosts)
