"""A webhook that is away, slow or refuses costs a run one warning and at most ten seconds."""

import logging
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline import notify
from pipeline.base_task import notifying_runs
from pipeline.notify import send_notifications
from pipeline.retrain import RetrainFlowers
from tasks.runtime.exit_codes import RunFailure
from tasks.storage.files import publish_json
from tests.download.fetching import forget_network_settings
from tests.pipeline.command import Project
from tests.pipeline.conftest import Trained
from tests.pipeline.in_process import run_of
from tests.pipeline.notifying import assert_secret
from tests.support.processes import STOP_TIMEOUT, TIMEOUT
from tests.support.servers.webhook import SECRET, Answer, dripping, never, status, webhook

NEXT = "2026-03-02"
FAILED = RunFailure(30, "A <!channel> failed.\x1b[0m")


@pytest.fixture(autouse=True)
def _network(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_network_settings(monkeypatch)


def test_a_webhook_that_is_away_costs_a_warning_that_names_its_host(same_photos: Project) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/{SECRET}"
        done = same_photos.retrain_forked(date=NEXT, notify=url).check()
    (line,) = [line for line in done.errors.splitlines() if "--notify" in line]
    assert line == (
        "WARNING: 127.0.0.1 was not notified of the end of the run ([Errno 111] Connection refused). Check --notify "
        "and the network; the run itself is not affected."
    )
    assert_secret(done, same_photos.root)


@pytest.mark.slow
@pytest.mark.parametrize("answer", [never, dripping])
def test_a_webhook_that_never_answers_delays_the_run_by_ten_seconds(same_photos: Project, answer: Answer) -> None:
    with webhook(answer) as hook:
        started = time.monotonic()
        done = same_photos.retrain(date=NEXT, notify=hook.url).check()
        seconds = time.monotonic() - started
    assert len(hook.posts) == 1
    assert "(it took longer than 10 s)" in done.errors
    assert 10 < seconds - same_photos.record(NEXT)["elapsed"] < 10 + STOP_TIMEOUT


@pytest.fixture
def run(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> Iterator[RetrainFlowers]:
    """A run that has begun and is not recorded."""
    run = run_of(trained.project, date=NEXT, notify="http://127.0.0.1:1/")
    monkeypatch.setattr(notify, "_reported", False)
    levels = {name: logging.getLogger(name).level for name in ("httpx", "httpcore")}
    yield run
    notifying_runs.clear()
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def notified(run: RetrainFlowers, url: str, failure: RunFailure | None, seconds: float = TIMEOUT) -> None:
    notifying_runs[run.run_id] = run.clone(notify=url)
    send_notifications((), failure, seconds)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (status("500 Internal Server Error"), "it answered 500"),
        (status("404 Not Found"), "it answered 404"),
        (status("302 Found", f"Location: /services/{SECRET}\r\n"), "it answered 302"),
        (lambda _: [f"POST /services/{SECRET} what?\r\n\r\n".encode()], "it does not answer as an HTTP server does"),
        (lambda _: [], "it does not answer as an HTTP server does"),
    ],
)
def test_a_webhook_that_does_not_accept_costs_one_warning_and_no_second_request(
    run: RetrainFlowers, caplog: pytest.LogCaptureFixture, answer: Answer, reason: str
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("httpcore").setLevel(logging.DEBUG)
    with webhook(answer) as hook:
        notified(run, hook.url, FAILED)
        assert len(hook.posts) == 1
    (message,) = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert message.startswith(f"127.0.0.1 was not notified of the end of the run ({reason}). Check")
    assert SECRET not in caplog.text


@pytest.mark.parametrize("answer", [never, dripping])
def test_a_webhook_that_never_ends_its_answer_is_left_behind(
    run: RetrainFlowers, caplog: pytest.LogCaptureFixture, answer: Answer
) -> None:
    with webhook(answer) as hook:
        notified(run, hook.url, FAILED, 0.5)
    assert "(it took longer than 0.5 s)" in caplog.text


def test_a_name_server_that_never_answers_is_left_behind(
    run: RetrainFlowers, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()

    def resolve(*_: Any, **__: Any) -> Any:
        released.wait(TIMEOUT)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    notified(run, f"https://chat.example.org/{SECRET}", FAILED, 0.5)
    assert "chat.example.org was not notified of the end of the run (it took longer than 0.5 s)" in caplog.text
    released.set()
    for thread in threading.enumerate():
        if thread.name == "notify":
            thread.join(TIMEOUT)
    assert SECRET not in caplog.text


def test_certificates_are_those_of_downloads(
    run: RetrainFlowers, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/authorities.pem")
    notified(run, f"https://127.0.0.1:1/{SECRET}", FAILED)
    assert "(SSL_CERT_FILE=/nowhere/authorities.pem cannot be used: No such file or directory)" in caplog.text


def test_a_text_has_no_commands_of_chat_services_and_no_control_characters(run: RetrainFlowers) -> None:
    with webhook() as hook:
        notified(run, hook.url, FAILED)
    (post,) = hook.posts
    assert post["text"].endswith("\nA [!channel] failed.\\x1b[0m")
    assert post["error"] == FAILED.message


def test_the_end_of_a_program_is_reported_once(run: RetrainFlowers) -> None:
    with webhook() as hook:
        notified(run, hook.url, FAILED)
        notified(run, hook.url, FAILED)
    assert len(hook.posts) == 1


def test_a_refused_export_is_notified_of_with_the_figures(run: RetrainFlowers, same_photos: Project) -> None:
    run = run_of(same_photos, date=NEXT)
    changes = {"run": run.run_id, "date": NEXT, "export": {"refused": "The export disagrees."}}
    publish_json(run.record_path(), {**same_photos.record(Trained.DATE), **changes})
    with webhook() as hook:
        notified(run, hook.url, None)
    (post,) = hook.posts
    assert (post["event"], post["exit_code"], post["photos"]) == ("run_failed", 57, Trained.PHOTOS)
    assert post["error"].startswith("The export disagrees.")


def test_a_run_that_another_program_did_is_not_notified_of(run: RetrainFlowers, trained: Trained) -> None:
    done = run_of(trained.project, date=Trained.DATE)
    with webhook() as hook:
        notified(done, hook.url, None)
    assert hook.posts == []
    assert run.run_id != done.run_id
