"""`--notify`: one POST for each run that ends or fails, and nobody learns the URL."""

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import psutil
import pytest

from tests.download.fetching import forget_network_settings
from tests.pipeline.command import LITTLE, Project, forked, luigi, verb_process, words
from tests.pipeline.conftest import Trained
from tests.pipeline.notifying import assert_secret, readme_blocks
from tests.support.processes import background_command, read_line, running, stop
from tests.support.servers.luigid import luigid
from tests.support.servers.webhook import SECRET, Webhook, webhook

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


def assert_like(example: Any, value: Any) -> None:
    """Check that a value has the keys of an example, in its order, and its types."""
    assert type(value) is type(example)
    if isinstance(example, dict):
        assert list(value) == list(example)
        for name in example:
            assert_like(example[name], value[name])


@pytest.mark.parametrize("level", ["WARNING", "DEBUG"])
def test_a_run_that_ends_notifies_once_and_one_with_nothing_to_do_does_not(
    same_photos: Project, hook: Webhook, level: str
) -> None:
    options = {"date": NEXT, "notify": hook.url, "workers": "2", "log_level": level}
    done = same_photos.retrain_forked(**options).check()
    record = same_photos.record(NEXT)
    (post,) = hook.posts
    assert hook.paths == [f"/services/{SECRET}?key={SECRET}"]
    lines = done.output.partition("\nDataset ")[2]
    assert post["text"].splitlines() == [
        f"RetrainFlowers of {record['dataset']['name']} for {NEXT} is done.",
        *(" ".join(line.split()) for line in lines.partition("\nRun record")[0].splitlines()[1:]),
    ]
    assert post["text"].endswith(f"\nReport {record['report']}")
    values = {"event": "run_done", "task": "RetrainFlowers", "exit_code": 0, "error": None, "date": NEXT}
    assert post.items() >= values.items()
    assert post["dataset"] == record["dataset"]["name"]
    same = ("run", "elapsed", "snapshot", "head", "network", "photos", "rejected", "metrics", "report")
    assert {name: post[name] for name in same} == {name: record[name] for name in same}
    assert (post["verdict"], post["new"]) == (record["champion"]["verdict"], 0)
    (example,) = map(json.loads, readme_blocks("json"))
    assert_like(example, post)
    heads = [line.split()[0] for line in example["text"].splitlines()]
    # Other lines, such as that of label issues, are there only where there is something to tell.
    assert [head for line in post["text"].splitlines() if (head := line.split()[0]) in heads] == heads
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
    assert hook.posts[2]["text"].startswith("RetrainFlowers failed with exit code 51.\n")


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
    command = words("RetrainFlowers", project.options(notify=hook.url, workers=workers, log_format="json"))
    with running(command, stderr=PIPE) as process:
        while '"stage_started", "stage": "decode"' not in (line := read_line(process)):
            assert line
        ended = stop(process, number, whole_group=number == signal.SIGINT)
    (post,) = hook.posts
    assert ended.code == post["exit_code"] == code
    assert post["error"].startswith("Stopped by ")
    assert ended.errors == f"\n{post['error']}\n"
    assert_secret(ended, project.root)


@pytest.mark.slow
def test_a_worker_process_that_is_killed_is_notified_of(project: Project, tmp_path: Path, hook: Webhook) -> None:
    command = words("RetrainFlowers", project.options(notify=hook.url, workers="2", log_format="json"))
    with background_command(command, tmp_path) as run:
        # The worker is busy with imports for seconds.
        run.says('"stage_started", "stage": "bottleneck"')
        for worker in psutil.Process(run.process.pid).children():
            worker.kill()
        assert run.end() == 56
    (post,) = hook.posts
    assert post["exit_code"] == 56
    assert "was ended by SIGKILL" in post["error"]


@pytest.mark.slow
def test_a_central_scheduler_does_not_get_the_url(tmp_path: Path, hook: Webhook) -> None:
    with luigid(tmp_path / "luigid") as scheduler:
        (tmp_path / "luigi.cfg").write_text("[core]\nlocal_scheduler=false\n")
        options = {"dataset": "nope", "notify": hook.url, "scheduler-port": f"{scheduler.port}"}
        assert luigi("RetrainFlowers", options, folder=tmp_path).code == 52
        query = urlencode({"data": json.dumps({"status": "FAILED", "upstream_status": ""})})
        with urlopen(f"http://127.0.0.1:{scheduler.port}/api/task_list?{query}") as answer:
            listed = answer.read().decode()
    assert len(hook.posts) == 1
    assert '"dataset": "nope"' in listed
    assert SECRET not in listed


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
