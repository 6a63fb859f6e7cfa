"""Self-signed certificates."""

import shutil
import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest


class Certificate(NamedTuple):
    """A self-signed certificate."""

    path: Path  #: Its file, in PEM format.
    server: ssl.SSLContext  #: TLS context of a server that presents it.


def make_certificate(folder: Path, name: str = "IP:127.0.0.1") -> Certificate:
    """Make a certificate in a folder for the owner `name`, as OpenSSL has it in `subjectAltName`."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl here")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    kind = "-x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=127.0.0.1"
    command = [openssl, "req", *kind.split(), "-addext", f"subjectAltName={name}"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    return Certificate(certificate, tls)
