"""Certificates that the environment names, and those that cannot be verified."""

import re
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.download.certificates import certificate_error, environment_tls
from tasks.download.retry_policy import FetchError
from tests.download.fetching import CONTENT, connections_made, get, refused
from tests.support.servers.certificates import make_certificate
from tests.support.servers.file_server import FileServer, serving

pytestmark = pytest.mark.usefixtures("plain_network")


@pytest.mark.parametrize(
    ("make", "cause"),
    [
        (lambda _: None, "No such file or directory"),
        (Path.mkdir, "Is a directory"),
        (Path.touch, "no certificates in PEM format"),
        (lambda path: path.write_bytes(bytes(range(256))), "no certificates in PEM format"),
        (lambda path: path.write_text("-----BEGIN CERTIFICATE-----\nMIIB\n"), "no certificates in PEM format"),
        (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
    ],
)
def test_a_file_without_certificates_is_named_and_no_matter_to_http(
    make: Callable[[Path], object],
    cause: str,
    safe: FileServer,
    server: FileServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    path: Path,
) -> None:
    authorities = tmp_path / "authorities.pem"
    make(authorities)
    monkeypatch.setenv("SSL_CERT_FILE", str(authorities))
    with pytest.raises(FetchError, match=f"^SSL_CERT_FILE={authorities} cannot be used: .*{cause}$"):
        environment_tls()
    connections = connections_made(monkeypatch)
    error = refused(safe, path)
    assert f"(SSL_CERT_FILE={authorities} cannot be used: " in error
    assert "Set SSL_CERT_FILE to certificates in PEM format, or unset it, and run again" in error
    assert connections == []
    assert get(server, path).sha256 == server.sha256


@pytest.mark.parametrize("folders", ["{0}/gone", "{0}/file", "{0}/gone:{0}/file", ":"])
def test_folders_that_are_none_are_named(folders: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    value = folders.format(tmp_path)
    monkeypatch.setenv("SSL_CERT_DIR", value)
    with pytest.raises(FetchError, match=f"SSL_CERT_DIR={value} cannot be used: "):
        environment_tls()


def test_one_of_several_folders_or_a_file_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", f"{tmp_path}/gone:{tmp_path}")
    assert environment_tls().verify_mode == ssl.CERT_REQUIRED
    monkeypatch.setenv("SSL_CERT_FILE", str(make_certificate(tmp_path).path))
    monkeypatch.setenv("SSL_CERT_DIR", f"{tmp_path}/gone")
    assert environment_tls().cert_store_stats()["x509"] == 1


def test_mozillas_authorities_are_trusted_where_no_others_are_named() -> None:
    assert environment_tls().cert_store_stats()["x509_ca"] > 50


@pytest.mark.parametrize(
    ("code", "message", "file", "remedy"),
    [
        (10, "certificate has expired", "", "Check the clock of this machine, or have the certificate renewed,"),
        (9, "certificate is not yet valid", "", "Check the clock of this machine"),
        (62, "Hostname mismatch, certificate is not valid for 'host'.", "", "Check the host of the URL"),
        (64, "IP address mismatch, certificate is not valid for '::1'.", "", "Check the host of the URL"),
        (18, "self-signed certificate", "", "your company's own authority, set SSL_CERT_FILE to a file"),
        (20, "unable to get local issuer certificate", "", "set SSL_CERT_FILE"),
        (18, "self-signed certificate", "/x.pem", "signed it to SSL_CERT_FILE=/x.pem, which alone is trusted"),
    ],
)
def test_the_fault_of_a_certificate_decides_what_to_do(
    code: int, message: str, file: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", file)
    exc = ssl.SSLCertVerificationError()
    exc.verify_code, exc.verify_message = code, message
    error = certificate_error(exc, "host")
    assert f"{error}" == f"the certificate of host cannot be verified: {message.rstrip('.')}"
    assert remedy in error.remedy


@pytest.mark.parametrize(
    ("name", "trusted", "error"),
    [
        ("IP:127.0.0.1", False, r"self-signed certificate\). If it is .* set SSL_CERT_FILE to a file of its"),
        ("DNS:other.example", True, r"is not valid for '127\.0\.0\.1'\). Check the host of the URL and run again"),
    ],
)
def test_a_bad_certificate_is_shown_once(
    name: str, trusted: bool, error: str, tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = make_certificate(tmp_path, name)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.path))
    connections = connections_made(monkeypatch)
    with serving(FileServer(CONTENT), certificate.server) as files:
        assert re.search(rf"the certificate of 127\.0\.0\.1 cannot be verified: .*{error}", refused(files, path))
    assert (len(connections), files.requests) == (1, [])
