"""Certificates that the environment names, and those that cannot be verified."""

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.download.certificates import certificate_error, environment_tls
from tasks.download.retry_policy import FetchError
from tests.download.fetching import CONTENT, connections_made, get, refused
from tests.download.server import FileServer, serving
from tests.download.tls import make_certificate

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
def test_a_file_without_certificates_is_named_with_its_variable(
    make: Callable[[Path], object], cause: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "authorities.pem"
    make(path)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with pytest.raises(FetchError, match=f"^SSL_CERT_FILE={path} cannot be used: .*{cause}$") as caught:
        environment_tls()
    assert caught.value.remedy == "Set SSL_CERT_FILE to certificates in PEM format, or unset it,"


@pytest.mark.parametrize("folders", ["{0}/gone", "{0}/file", "{0}/gone:{0}/file", ":"])
def test_folders_that_are_none_are_named_with_their_variable(
    folders: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    value = folders.format(tmp_path)
    monkeypatch.setenv("SSL_CERT_DIR", value)
    with pytest.raises(FetchError, match=f"SSL_CERT_DIR={value} cannot be used: "):
        environment_tls()


def test_of_several_folders_one_that_is_there_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", f"{tmp_path}/gone:{tmp_path}")
    assert environment_tls().verify_mode == ssl.CERT_REQUIRED


def test_a_good_file_is_enough_whatever_the_folder_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(make_certificate(tmp_path).path))
    monkeypatch.setenv("SSL_CERT_DIR", f"{tmp_path}/gone")
    assert environment_tls().cert_store_stats()["x509"] == 1


def test_mozillas_authorities_are_trusted_where_no_others_are_named() -> None:
    assert environment_tls().cert_store_stats()["x509_ca"] > 50


@pytest.mark.parametrize(
    ("code", "message", "remedy"),
    [
        (10, "certificate has expired", "Check the clock of this machine, or have the certificate renewed,"),
        (9, "certificate is not yet valid", "Check the clock of this machine"),
        (62, "Hostname mismatch, certificate is not valid for 'host'.", "Check the host of the URL"),
        (64, "IP address mismatch, certificate is not valid for '::1'.", "Check the host of the URL"),
        (18, "self-signed certificate", "your company's own authority, set SSL_CERT_FILE to a file"),
        (20, "unable to get local issuer certificate", "set SSL_CERT_FILE"),
    ],
)
def test_what_is_wrong_with_a_certificate_decides_what_to_do(code: int, message: str, remedy: str) -> None:
    told = certificate_error(error(code, message), "host")
    assert f"{told}" == f"the certificate of host cannot be verified: {message.rstrip('.')}"
    assert remedy in told.remedy


def test_where_authorities_are_named_they_are_where_the_missing_one_belongs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/etc/authorities.pem")
    told = certificate_error(error(18, "self-signed certificate"), "host")
    assert "to SSL_CERT_FILE=/etc/authorities.pem, which alone is trusted" in told.remedy


def test_a_certificate_that_nobody_vouches_for_is_shown_once(
    safe: FileServer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections = connections_made(monkeypatch)
    told = refused(safe, path)
    assert "the certificate of 127.0.0.1 cannot be verified: self-signed certificate). If it is signed by your" in told
    assert "set SSL_CERT_FILE to a file of its certificates (PEM) and run again" in told
    assert (len(connections), safe.requests) == (1, [])


def test_a_certificate_of_another_host_is_shown_once(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = make_certificate(tmp_path, "DNS:other.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.path))
    connections = connections_made(monkeypatch)
    with serving(FileServer(CONTENT), certificate.server) as files:
        told = refused(files, path)
    assert "certificate is not valid for '127.0.0.1'). Check the host of the URL and run again" in told
    assert len(connections) == 1


@pytest.mark.parametrize("value", ["{0}/gone.pem", "{0}", "{0}/text"])
def test_certificates_that_cannot_be_read_are_no_full_disk(
    value: str, safe: FileServer, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text").write_text("no certificate")
    monkeypatch.setenv("SSL_CERT_FILE", value.format(tmp_path))
    connections = connections_made(monkeypatch)
    told = refused(safe, path)
    assert connections == []
    assert f"(SSL_CERT_FILE={value.format(tmp_path)} cannot be used: " in told
    assert "Set SSL_CERT_FILE to certificates in PEM format, or unset it, and run again" in told


def test_certificates_that_cannot_be_read_are_no_matter_to_http(
    server: FileServer, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", f"{tmp_path}/gone.pem")
    assert get(server, path).sha256 == server.sha256


def error(code: int, message: str) -> ssl.SSLCertVerificationError:
    exc = ssl.SSLCertVerificationError()
    exc.verify_code, exc.verify_message = code, message
    return exc
