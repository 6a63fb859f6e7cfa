"""Certificate authorities for https: Mozilla's, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`."""

import os
import ssl

import httpx

from tasks.download.retry_policy import FetchError
from tasks.events import escape_control_characters

_FILE, _FOLDERS = "SSL_CERT_FILE", "SSL_CERT_DIR"
#: OpenSSL's codes of certificates that are out of date, and of another host (X509_V_ERR_*).
_OUT_OF_DATE, _OTHER_HOST = {9, 10}, {62, 64}


def environment_tls() -> ssl.SSLContext:
    """Create the TLS context.

    Raises:
        FetchError: A variable names nothing that certificates can be read from.
    """
    file, folders = os.environ.get(_FILE, ""), os.environ.get(_FOLDERS, "")
    if not file and not folders:
        return httpx.create_ssl_context(trust_env=False)
    try:
        if not file:
            _check_folders(folders)
        return ssl.create_default_context(cafile=file or None, capath=folders or None)
    except OSError as exc:
        name, value = (_FILE, file) if file else (_FOLDERS, folders)
        cause = "it holds no certificates in PEM format" if isinstance(exc, ssl.SSLError) else exc.strerror
        raise FetchError(
            f"{name}={escape_control_characters(value)} cannot be used: {cause}",
            f"Set {name} to certificates in PEM format, or unset it,",
        ) from exc


def certificate_error(exc: ssl.SSLCertVerificationError, owner: str) -> FetchError:
    """Return the error for a certificate of `owner` that cannot be verified."""
    given = [
        f"{name}={escape_control_characters(os.environ[name])}" for name in (_FILE, _FOLDERS) if os.environ.get(name)
    ]
    if exc.verify_code in _OUT_OF_DATE:
        remedy = "Check the clock of this machine, or have the certificate renewed,"
    elif exc.verify_code in _OTHER_HOST:
        remedy = "Check the host of the URL"
    elif given:
        remedy = f"Add the authority that signed it to {' or '.join(given)}, which alone is trusted,"
    else:
        remedy = f"If it is signed by your company's own authority, set {_FILE} to a file of its certificates (PEM)"
    return FetchError(f"the certificate of {owner} cannot be verified: {exc.verify_message.rstrip('.')}", remedy)


def _check_folders(folders: str) -> None:
    """Check that a folder is there: OpenSSL passes over missing ones, and without any it trusts nobody."""
    error = OSError(0, "it names no folder")
    for folder in filter(None, folders.split(os.pathsep)):
        try:
            os.scandir(folder).close()
            return
        except OSError as exc:
            error = exc
    raise error
