"""Retries: the responses that cause one, and the delay before it."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from tasks.download.retry_policy import RetryPolicy
from tests.download.fetching import get, refused
from tests.support.servers.file_server import Fault, FileServer


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_some_errors_are_retried(server: FileServer, path: Path, status: int, caplog: pytest.LogCaptureFixture) -> None:
    server.faults = [Fault(status=status), Fault(status=status)]
    assert get(server, path).sha256 == server.sha256
    assert len(server.requests) == 3
    assert len(caplog.messages) == 2
    assert str(status) in caplog.messages[0]
    assert "trying again" in caplog.messages[0]


@pytest.mark.parametrize(
    "fault",
    [*(Fault(status=status) for status in (401, 403, 404, 410)), Fault(status=503, headers={"Retry-After": "86400"})],
    ids=lambda fault: str(fault.status),
)
def test_a_refusal_or_a_request_for_a_long_pause_is_not_retried(server: FileServer, path: Path, fault: Fault) -> None:
    server.faults = [fault]
    assert str(fault.status) in refused(server, path)
    assert len(server.requests) == 1


def test_a_requested_pause_is_kept(server: FileServer, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=pauses.append))
    then = format_datetime(datetime.now(UTC) + timedelta(seconds=200), usegmt=True)
    server.faults = [Fault(status=status, headers={"Retry-After": text}) for status, text in ((503, then), (429, "7"))]
    get(server, path)
    assert (1 < pauses[0] <= 200, pauses[1:]) == (True, [7.0])


def test_a_server_that_falls_silent_is_tried_again(server: FileServer, path: Path) -> None:
    server.faults = [Fault(stall=True)]
    # Once it is tried again, a busy machine may be late a few times.
    assert get(server, path, policy=RetryPolicy(100, 0.01, 0.02, timeout=0.3)).sha256 == server.sha256
    assert len(server.requests) > 1


def test_without_a_server_the_error_names_the_attempts_and_the_remedy(path: Path, unused: str) -> None:
    text = refused(FileServer(b"", url=f"http://{unused}/photos.tgz"), path)
    for part in (f"http://{unused}/photos.tgz", "tried 3 times", f"put the file at {path} or use --dataset sample"):
        assert part in text


@pytest.mark.parametrize("url", ["ftp://example.org/photos.tgz", "http://[/photos.tgz"])
def test_an_invalid_url_is_reported(path: Path, url: str) -> None:
    assert "could not be fetched" in refused(FileServer(b"", url=url), path)
