"""URLs as they may be shown and stored: without the passwords and tokens that are in some."""

import hashlib
from urllib.parse import urlsplit, urlunsplit


def redact_url(url: str) -> str:
    """Remove user and password from a URL, and replace its query, which may hold a token, by `?…`."""
    try:
        parts = urlsplit(url)
        # A port that is no number may be a password with a slash in it.
        _ = parts.port
    except ValueError:
        return f"{url.partition(':')[0]}:…"
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", "")) + ("?…" if parts.query else "")


def url_identity(url: str) -> str:
    """Redact a URL for the disk; a hash of the whole keeps URLs apart that differ in the removed parts only."""
    redacted = redact_url(url)
    return url if redacted == url else f"{redacted}#{hashlib.sha256(url.encode()).hexdigest()[:16]}"
