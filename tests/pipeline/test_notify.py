"""`--notify`: one POST for each run that ends or fails, in time, and nobody learns the URL."""

import json
import logging
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipeline import notify
from pipeline.base_task import BaseTask
from pipeline.notify import send_notifications
from pipeline.retrain import RetrainFlowers
from tasks.runtime.exit_codes import Failure
from tests.download.fetching import forget_network_settings
from tests.pipeline.command import LITTLE, Finished, Project, forked, luigi, verb_process, words
from tests.pipeline.conftest import Trained
from tests.pipeline.in_process import run_of
from tests.support.processes import TIMEOUT, background_command, running, stop, until
from tests.support.servers.webhook import SECRET, Answer, Webhook, dripping, never, status, webhook

NEXT = "2026-03-02"
#: Run by Python before any program: writing reports fails.
BROKEN = """
import tasks.report.task
def work(*_):
    raise ValueError("a bug of ours")
tasks.report.task.WriteReport.work = work
"""


@pytest.fixture(autouse=True)
def _network(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_network_settings(monkeypatch)


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with webhook() as hook:
        yield hook


def assert_secret(done: Finished, *folders: Path) -> None:
    """Check that neither the output of a command nor any file below these folders holds the secret."""
    assert SECRET not in done.output + done.errors
    for folder in folders:
        found = [path for path in folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
        assert found == []


@pytest.mark.parametrize("level", ["WARNING", "DEBUG"])
def test_a_run_that_ends_notifies_once_and_one_with_nothing_to_do_does_not(
    same_photos: Project, hook: Webhook, level: str
) -> None:
    options = {"date": NEXT, "notify": hook.url, "workers": "2", "log_level": level}
    done = same_photos.retrain_forked(**options).check()
    record = same_photos.record(NEXT)
    (post,) = hook.posts
    assert hook.paths == [f"/services/{SECRET}?key={SECRET}"]
    assert post["text"].splitlines() == [
        f"RetrainFlowers of {record['dataset']['name']} for {NEXT} is done.",
        *(" ".join(line.split()) for line in done.output.partition("\nDataset ")[2].splitlines()[1:7]),
    ]
    assert post["text"].endswith(f"\nReport {record['report']}")
    values = {"event": "run_done", "task": "RetrainFlowers", "exit_code": 0, "error": None, "date": NEXT}
    assert post.items() >= values.items()
    assert post["dataset"] == record["dataset"]["name"]
    same = ("run", "elapsed", "snapshot", "head", "network", "photos", "rejected", "metrics", "report")
    assert {name: post[name] for name in same} == {name: record[name] for name in same}
    assert (post["verdict"], post["new"]) == (record["champion"]["verdict"], 0)
    assert not any(isinstance(value, list) for value in post.values())
    assert ("DEBUG" in done.errors) == (level == "DEBUG")
    assert_secret(done, same_photos.root)

    again = same_photos.retrain_forked(**options).check()
    assert again.output.startswith("Nothing to do")
    assert len(hook.posts) == 1


@pytest.mark.parametrize(
    ("options", "code", "error"),
    [
        ({"dataset": "nope"}, 52, "There is no dataset 'nope'"),
        ({"weights": "no/such/file.pth"}, 54, "There are no weights at"),
        ({"folds": "1"}, 51, "--folds is 1; it takes 2 to 10"),
        ({"views": "3"}, 51, "--views is '3'"),
        ({"workers": "0"}, 51, "--workers is 0"),
        ({"local-scheduler": "", "scheduler-url": "http://127.0.0.1:1", "dataset": "nope"}, 52, "There is no dataset"),
    ],
)
def test_a_run_that_fails_before_its_first_stage_notifies_once(
    tmp_path: Path, hook: Webhook, options: dict[str, str], code: int, error: str
) -> None:
    config = f"[RetrainFlowers]\nnotify={hook.url}\ndata_root={tmp_path}/data\ndataset={tmp_path}\n"
    (tmp_path / "luigi.cfg").write_text(config)
    done = luigi("RetrainFlowers", {**options, "log-level": "DEBUG"}, folder=tmp_path)
    assert done.code == code
    (post,) = hook.posts
    assert (post["event"], post["exit_code"]) == ("run_failed", code)
    assert error in post["error"]
    first, second = post["text"].splitlines()[:2]
    assert re.fullmatch(rf"RetrainFlowers of \S+( for \d{{4}}-\d\d-\d\d)? failed with exit code {code}\.", first)
    assert error in second
    assert "Traceback" not in post["text"]
    (tmp_path / "luigi.cfg").unlink()
    assert_secret(done, tmp_path)


def test_a_scheduler_that_is_away_is_notified_of(tmp_path: Path, hook: Webhook) -> None:
    (tmp_path / "luigi.cfg").write_text("[core]\nlocal_scheduler=false\nrpc_retry_wait=0\n")
    options = {"scheduler-url": "http://127.0.0.1:1", "data-root": str(tmp_path / "data"), "notify": hook.url}
    done = luigi("RetrainFlowers", options, folder=tmp_path)
    (post,) = hook.posts
    assert done.code == post["exit_code"] == 56
    assert "The scheduler luigid does not answer" in post["text"]
    assert_secret(done, tmp_path)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_stage_that_fails_late_notifies_once(
    same_photos: Project, tmp_path: Path, hook: Webhook, workers: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(BROKEN)
    options = {"date": NEXT, "notify": hook.url, "workers": workers}
    done = same_photos.retrain({"PYTHONPATH": str(tmp_path)}, **options)
    (post,) = hook.posts
    assert done.code == post["exit_code"] == 30
    assert (post["event"], post["error"]) == ("run_failed", "a bug of ours")
    assert post["run"].startswith(NEXT)
    assert "Traceback" in done.errors
    assert_secret(done, same_photos.root)


def test_range_daily_notifies_of_each_run_and_of_a_failure_before_any(
    same_photos: Project, tmp_path: Path, hook: Webhook
) -> None:
    (tmp_path / "luigi.cfg").write_text(f"[RetrainFlowers]\nnotify={hook.url}\n")
    dates = {"start": Trained.DATE, "stop": "2026-03-04", "param-name": "date", "days-back": "100000"}
    given = {"of": "RetrainFlowers", **dates}
    done = luigi("RangeDaily", {**given, "of-params": json.dumps(same_photos.options())}, folder=tmp_path).check()
    assert sorted((post["event"], post["date"]) for post in hook.posts) == [
        ("run_done", NEXT),
        ("run_done", "2026-03-03"),
    ]
    assert_secret(done, same_photos.root)

    refused = luigi("RangeDaily", {**given, "of-params": json.dumps({"folds": 1})}, folder=tmp_path)
    assert (refused.code, len(hook.posts)) == (51, 3)
    assert hook.posts[2]["error"] == "--folds is 1; it takes 2 to 10, or 0 for no cross-validation."


@pytest.mark.slow
def test_a_rejected_model_notifies_with_its_figures(same_photos: Project, hook: Webhook) -> None:
    options = {"recipe": "classic", "steps": "1", "learning_rate": "0.00001", "min_accuracy": "0.99", **LITTLE}
    done = same_photos.retrain_forked(date=NEXT, notify=hook.url, **options)
    (post,) = hook.posts
    assert done.code == post["exit_code"] == 58
    assert (post["event"], post["verdict"]) == ("run_failed", "refused")
    assert post["metrics"] == same_photos.record(NEXT)["metrics"]
    assert "below the 99.0% asked for" in post["error"]
    assert post["text"].splitlines()[0].endswith("failed with exit code 58.")
    assert f"Report {post['report']}" in post["text"]
    assert_secret(done, same_photos.root)


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_a_signal_stops_notifies_once(
    project: Project, hook: Webhook, workers: str, number: signal.Signals, code: int
) -> None:
    command = words("RetrainFlowers", project.options(notify=hook.url, workers=workers))
    with running(command, {**os.environ, "PYTHONUNBUFFERED": "1"}, stderr=-1) as process:
        until(lambda: any(project.root.glob("decode/*/manifests/*.json")))
        ended = stop(process, number, whole_group=number == signal.SIGINT)
    (post,) = hook.posts
    assert ended.code == post["exit_code"] == code
    assert post["error"].startswith("Stopped by ")
    assert f"\n{post['error']}\n" in ended.errors
    assert "was ended by" not in ended.errors
    assert_secret(ended, project.root)


@pytest.mark.slow
def test_a_worker_process_that_is_killed_is_notified_of(project: Project, tmp_path: Path, hook: Webhook) -> None:
    command = words("RetrainFlowers", project.options(notify=hook.url, workers="2"))
    with background_command(command, tmp_path) as run:
        until(lambda: any(project.root.glob("decode/*/manifests/*.json")))
        for worker in psutil.Process(run.process.pid).children():
            worker.kill()
        assert run.end() == 56
    (post,) = hook.posts
    assert post["exit_code"] == 56
    assert "was ended by SIGKILL" in post["error"]


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
    # The run itself takes some seconds.
    assert seconds - same_photos.record(NEXT)["elapsed"] < 10 + 5


# In this process, with less time.


@pytest.fixture
def run(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> Iterator[RetrainFlowers]:
    """A run that has begun and is not recorded."""
    run = run_of(trained.project, date=NEXT, notify="http://127.0.0.1:1/")
    runs: dict[str, BaseTask] = {run.run_id: run}
    monkeypatch.setattr(notify, "notifying_runs", runs)
    monkeypatch.setattr(notify, "_reported", False)
    levels = {name: logging.getLogger(name).level for name in ("httpx", "httpcore")}
    yield run
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def notified(run: RetrainFlowers, url: str, failure: Failure | None, seconds: float = TIMEOUT) -> None:
    notify.notifying_runs[run.run_id] = run.clone(notify=url)
    send_notifications((), failure, seconds)


FAILED = Failure(30, "A <!channel> failed.\x1b[0m", None)


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


def test_a_proxy_and_certificates_are_those_of_downloads(
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


def test_a_run_that_another_program_did_is_not_notified_of(run: RetrainFlowers, trained: Trained) -> None:
    done = run_of(trained.project, date=Trained.DATE)
    with webhook() as hook:
        notified(done, hook.url, None)
    assert hook.posts == []
    assert run.run_id != done.run_id


@pytest.mark.parametrize("task", ["RetrainFlowers", "CompareTraining"])
@pytest.mark.parametrize(
    "url", ["ftp://host/T0K3N", "T0K3N", "https:///T0K3N", "http://host:T0K3N/", "https://h/ T0K3N"]
)
def test_a_url_that_cannot_be_is_refused_before_any_work_and_not_quoted(tmp_path: Path, task: str, url: str) -> None:
    done = luigi(task, {"notify": url, "data-root": str(tmp_path / "data"), "log-level": "DEBUG"})
    assert done.code == 51
    assert "ERROR: --notify is no URL of the form https://host/path. Correct it.\n" in done.errors
    assert "T0K3N" not in done.output + done.errors
    assert list(tmp_path.iterdir()) == []


def test_verbs_take_the_option_and_show_no_url_of_luigi_cfg(tmp_path: Path) -> None:
    (tmp_path / "luigi.cfg").write_text(f"[RetrainFlowers]\nnotify=https://host/{SECRET}\n")
    for given in (["--help"], ["--json", "--notify", f"https://host/{SECRET}"]):
        done = verb_process("status", *given, folder=tmp_path).check()
        assert SECRET not in done.output + done.errors


def test_an_environment_variable_may_hold_the_url(tmp_path: Path, hook: Webhook) -> None:
    (tmp_path / "luigi.cfg").write_text("[RetrainFlowers]\nnotify=${WEBHOOK}\ndataset=nope\n")
    assert luigi("RetrainFlowers", {}, {"WEBHOOK": hook.url}, tmp_path).code == 52
    assert len(hook.posts) == 1
    assert luigi("RetrainFlowers", {}, {"WEBHOOK": ""}, tmp_path).code == 51


def test_a_comparison_notifies_too(tmp_path: Path, hook: Webhook) -> None:
    done = forked("CompareTraining", {"dataset": "nope", "data-root": str(tmp_path), "notify": hook.url})
    (post,) = hook.posts
    assert (done.code, post["task"], post["exit_code"]) == (52, "CompareTraining", 52)
