"""Luigi's own e-mails, by the settings that the README shows: what they hold, and when there are none."""

import os
import pty
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import psutil
import pytest

from tests.download.fetching import forget_network_settings
from tests.pipeline.command import Project, luigi, words
from tests.pipeline.notifying import readme_blocks
from tests.support.processes import TIMEOUT, background_command, read_terminal, running
from tests.support.servers.mail_server import Mailbox, mail_server
from tests.support.servers.webhook import SECRET, webhook


@pytest.fixture
def mail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    """A mail server, which `luigi.cfg` names as the README does."""
    forget_network_settings(monkeypatch)
    (lines,) = (block for block in readme_blocks("ini") if "[email]" in block)
    with mail_server() as mailbox:
        here = lines.replace("smtp.example.org", "127.0.0.1").replace("port=25", f"port={mailbox.port}")
        (tmp_path / "luigi.cfg").write_text(here)
        yield mailbox


def set_email(folder: Path, line: str) -> None:
    """Add a line to the section `[email]` of luigi.cfg."""
    config = folder / "luigi.cfg"
    config.write_text(config.read_text().replace("[email]\n", f"[email]\n{line}\n"))


def text_of(message: EmailMessage) -> str:
    """The subject of a message and its parts, decoded."""
    parts = [part.get_content() for part in message.walk() if part.get_content_maintype() == "text"]
    return "\n".join([message["Subject"], *parts])


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_failure_is_mailed_with_parameters_command_line_and_traceback_but_without_the_url_of_notify(
    tmp_path: Path, mail: Mailbox, workers: str
) -> None:
    with webhook() as hook:
        options = {"dataset": "nope", "notify": hook.url, "workers": workers}
        assert luigi("RetrainFlowers", options, folder=tmp_path).code == 52
    (message,) = mail.messages
    assert message["Subject"].startswith("[retrain] Luigi: RetrainFlowers(date=")
    assert (message["From"], message["To"]) == ("retrain@example.org", "you@example.org")
    text = text_of(message)
    told = ("\n  dataset          : nope\n", " --dataset nope --notify … ", "tasks.errors.DatasetError: There is no")
    assert [part for part in told if part not in text] == []
    assert SECRET not in text
    assert len(hook.posts) == 1


@pytest.mark.parametrize(
    ("line", "options", "code", "messages"),
    [
        ("format=html", {}, 52, 1),
        ("format=none", {}, 52, 0),
        ("method=sendgrid", {}, 52, 0),
        ("traceback_max_length=20", {}, 52, 1),
        ("", {"folds": "1"}, 51, 0),
    ],
)
def test_neither_exit_code_nor_notification_depends_on_settings_of_mail(
    tmp_path: Path, mail: Mailbox, line: str, options: dict[str, str], code: int, messages: int
) -> None:
    set_email(tmp_path, line)
    with webhook() as hook:
        done = luigi("RetrainFlowers", {"dataset": "nope", "notify": hook.url, **options}, folder=tmp_path)
    assert (done.code, len(mail.messages), len(hook.posts)) == (code, messages, 1)
    text = "".join(map(text_of, mail.messages))
    assert SECRET not in done.errors + text
    assert ("<th>dataset</th><td>nope</td>" in text) == (line == "format=html")
    assert ("has been truncated" in text) == line.startswith("traceback")


def test_a_range_of_dates_that_cannot_be_planned_is_mailed_without_the_url_of_notify(
    tmp_path: Path, mail: Mailbox
) -> None:
    dates = {"start": "2026-03-01", "stop": "2026-03-02", "param-name": "date", "days-back": "100000"}
    with webhook() as hook:
        options = {"of": "RetrainFlowers", "of-params": '{"max_rejected": 7}', "RetrainFlowers-notify": hook.url}
        assert luigi("RangeDaily", {**dates, **options}, folder=tmp_path).code == 51
    (message,) = mail.messages
    text = text_of(message)
    assert "--RetrainFlowers-notify …" in text
    assert "--max-rejected is 7" in text
    assert SECRET not in text
    assert len(hook.posts) == 1


@pytest.mark.parametrize(("line", "messages"), [("", 0), ("force_send=true", 1)])
def test_nothing_is_mailed_from_a_terminal_unless_it_is_forced(
    tmp_path: Path, mail: Mailbox, line: str, messages: int
) -> None:
    set_email(tmp_path, line)
    own, terminal = pty.openpty()
    with running(words("RetrainFlowers", {"dataset": "nope"}), stdout=terminal, folder=tmp_path) as process:
        os.close(terminal)
        read_terminal(own)
        assert process.wait(TIMEOUT) == 52
    os.close(own)
    assert len(mail.messages) == messages


@pytest.mark.slow
def test_a_worker_process_that_is_killed_is_mailed(project: Project, tmp_path: Path, mail: Mailbox) -> None:
    environment = {**os.environ, "LUIGI_CONFIG_PATH": str(tmp_path / "luigi.cfg")}
    command = words("RetrainFlowers", project.options(workers="2", log_format="json"))
    with background_command(command, tmp_path, environment) as run:
        # The worker is busy with imports for seconds.
        run.says('"stage_started", "stage": "bottleneck"')
        for worker in psutil.Process(run.process.pid).children():
            worker.kill()
        assert run.end() == 56
    (message,) = mail.messages
    assert "Luigi: ExtractBottlenecks(" in message["Subject"]


@pytest.mark.slow
def test_a_run_that_is_done_mails_nothing(project: Project, tmp_path: Path, mail: Mailbox) -> None:
    luigi("RetrainFlowers", project.options(folds="0"), folder=tmp_path).check()
    assert mail.messages == []
