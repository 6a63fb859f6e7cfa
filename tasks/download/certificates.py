"""Whose certificates are trusted over https: Mozilla's authorities, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`."""

import os
import ssl

import httpx

from tasks.download.responses import FetchError

_FILE, _FOLDERS = "SSL_CERT_FILE", "SSL_CERT_DIR"
#: OpenSSL's numbers of what may be wrong with a certificate (X509_V_ERR_*).
_OUT_OF_DATE = {9, 10}
_OF_ANOTHER_HOST = {62, 64}


def trust_environment() -> ssl.SSLContext:
    """Make the settings of a connection over https.

    Raises:
        Unreachable: A variable names nothing that certificates can be read from.
    """
    file, folders = os.environ.get(_FILE, ""), os.environ.get(_FOLDERS, "")
    if not file and not folders:
        return httpx.create_ssl_context(trust_env=False)
    if not file:
        _check_folders(folders)
    try:
        return ssl.create_default_context(cafile=file or None, capath=folders or None)
    except ssl.SSLError as exc:
        raise _unusable(_FILE, file, "it holds no certificates in PEM format") from exc
    except OSError as exc:
        raise _unusable(_FILE, file, f"{exc.strerror}") from exc


def untrusted(exc: ssl.SSLCertVerificationError, whose: str) -> FetchError:
    """Say what is wrong with a certificate, and what to do about it.

    Args:
        exc: What is wrong.
        whose: Whose certificate it is, for people.
    """
    given = [f"{name}={_printable(os.environ[name])}" for name in (_FILE, _FOLDERS) if os.environ.get(name)]
    if exc.verify_code in _OUT_OF_DATE:
        remedy = "Check the clock of this machine, or have the certificate renewed,"
    elif exc.verify_code in _OF_ANOTHER_HOST:
        remedy = "Check the host of the URL"
    elif given:
        remedy = f"Add the authority that signed it to {' or '.join(given)}, which alone is trusted,"
    else:
        remedy = f"If it is signed by your company's own authority, set {_FILE} to a file of its certificates (PEM)"
    return FetchError(f"the certificate of {whose} cannot be verified: {exc.verify_message.rstrip('.')}", remedy)


def _check_folders(folders: str) -> None:
    """OpenSSL takes several, and passes over one that is not there; where that is all of them, nobody is trusted."""
    problems = []
    for folder in filter(None, folders.split(os.pathsep)):
        try:
            os.scandir(folder).close()
        except OSError as exc:
            problems.append(f"{exc.strerror}")
        else:
            return
    raise _unusable(_FOLDERS, folders, problems[0] if problems else "it names no folder")


def _unusable(variable: str, value: str, why: str) -> FetchError:
    return FetchError(
        f"{variable}={_printable(value)} cannot be used: {why}",
        f"Set {variable} to certificates in PEM format, or unset it,",
    )


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)
