"""URLs as they may be shown and kept: without the passwords and tokens that are in some."""

import hashlib
from urllib.parse import urlsplit, urlunsplit


def shown(url: str) -> str:
    """A URL for people: without user and password, and with `?…` in place of a query, which may hold a token."""
    try:
        parts = urlsplit(url)
        # What a browser would take for a port may be a password with a slash in it.
        _ = parts.port
    except ValueError:
        return f"{url.partition(':')[0]}:…"
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", "")) + ("?…" if parts.query else "")


def identity(url: str) -> str:
    """A URL as it is kept on the disk: as it is shown, and where that is not all of it, with a hash of all of it."""
    bare = shown(url)
    return url if bare == url else f"{bare}#{hashlib.sha256(url.encode()).hexdigest()[:16]}"
