"""Notifications: one POST of JSON to the URL of `--notify` for each run that ends or fails.

The URL holds a secret: messages name its host alone. A thread sends, which the program leaves behind when it takes too
long, whatever it waits for: a name server, an object store, or the host itself.
"""

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from luigi.cmdline_parser import CmdlineParser
from luigi.task_register import Register

from pipeline.base_task import BaseTask, notifying_runs
from tasks.download.retry_policy import FetchError
from tasks.download.urls import redact_url
from tasks.errors import PipelineError
from tasks.events import escape_lines
from tasks.runs.records import read_record
from tasks.runtime.exit_codes import RunFailure

_LOG = logging.getLogger("luigi-interface")
#: Fields of a run's last event that are sent; others may be long lists.
_FIGURES = ("elapsed", "snapshot", "head", "network", "photos", "new", "rejected", "metrics", "verdict", "report")
#: Characters of the text, since chat services cut or refuse longer ones.
_MAX_TEXT = 3000
#: Chat services take text in angle brackets for commands, such as one that calls everybody; a photo may have any name.
_BRACKETS = str.maketrans("<>", "[]")
#: Whether the end of this program is reported; the main thread and that of signals may both try.
_reported = False
_reporting = threading.Lock()


class _Notification(NamedTuple):
    """A notification to be sent."""

    url: str
    describe: Callable[[], Mapping[str, Any] | None]  #: Returns the JSON; None if there is nothing to notify of.


def send_notifications(words: Sequence[str], failure: RunFailure | None, seconds: float) -> None:
    """Notify of the end of each run of the program, or of a failure before any run had begun.

    It raises nothing, and logs one warning if something could not be sent.

    Args:
        words: Words of the command; empty if a signal ended the program.
        failure: The first failure; None if there was none.
        seconds: Time for all notifications together.
    """
    global _reported  # noqa: PLW0603 (a program ends once)
    with _reporting:
        if _reported:
            return
        _reported = True
        notifications = [_Notification(run.notify, partial(_describe, run, failure)) for run in notifying_runs.values()]
        if failure and words and not notifications:
            with suppress(Exception):
                notifications = _without_run(words, failure)
        if notifications:
            _send_in_time(notifications, seconds)


def _send_in_time(notifications: Sequence[_Notification], seconds: float) -> None:
    problems: list[str] = []
    thread = threading.Thread(target=_send, args=(notifications, seconds, problems), name="notify", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        problems.append(f"it took longer than {seconds:g} s")
    if problems:
        _LOG.warning(
            "%s was not notified of the end of the run (%s). Check --notify and the network; the run itself is not "
            "affected.",
            urlsplit(notifications[0].url).hostname,
            escape_lines(problems[0]),
        )


def _send(notifications: Sequence[_Notification], seconds: float, problems: list[str]) -> None:
    for notification in notifications:
        try:
            content = notification.describe()
            if content is not None:
                _post(notification.url, content, seconds)
        except Exception as exc:  # noqa: BLE001 (no error of a notification fails a run)
            problems.append(str(exc) if isinstance(exc, FetchError) else type(exc).__name__)


def _post(url: str, content: Mapping[str, Any], seconds: float) -> None:
    """Post JSON once; follows no redirect.

    Raises:
        FetchError: The host was not reached, or did not accept it.
    """
    import httpx

    from tasks.download.http_client import EnvironmentTransport

    # They log URLs and headers.
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # ASCII, since a path that is not UTF-8 holds lone surrogates.
    body, headers = json.dumps(content).encode("ascii"), {"Content-Type": "application/json"}
    try:
        with (
            httpx.Client(timeout=seconds, transport=EnvironmentTransport()) as client,
            client.stream("POST", url, content=body, headers=headers) as response,
        ):
            if not response.is_success:
                raise FetchError(f"it answered {response.status_code}")
    except httpx.RemoteProtocolError as exc:
        # The message of this error may quote an answer that quotes the URL.
        raise FetchError("it does not answer as an HTTP server does") from exc
    except httpx.TransportError as exc:
        raise FetchError(f"{exc}" or type(exc).__name__) from exc


def _describe(run: BaseTask, failure: RunFailure | None) -> Mapping[str, Any] | None:
    """The notification of a run; None if it had nothing to do."""
    record = None
    with suppress(OSError, PipelineError):
        record = read_record(run.record_path())
    if record is not None and record["run"] != run.run_id:
        record = None
    failure = _failure_of(run, record, failure)
    if record is None and failure is None:
        return None
    figures = run.event_fields(record) if record else {}
    lines = [" ".join(line.split()) for line in (run.figures(record) if record else [])]
    dataset = record["dataset"]["name"] if record else _dataset_name(run)
    return {
        **_outcome(f"{run.task_family} of {dataset} for {run.date}", failure, lines),
        "task": run.task_family,
        "run": run.run_id,
        "dataset": dataset,
        "date": f"{run.date}",
        **{name: figures[name] for name in _FIGURES if name in figures},
    }


def _failure_of(run: BaseTask, record: Mapping[str, Any] | None, failure: RunFailure | None) -> RunFailure | None:
    """The failure of a run, by its own record if there is one and the first failure in the program."""
    if record is not None:
        if error := run.rejection(record):
            return RunFailure(error.exit_code, str(error), run.run_id)
        return failure if failure and failure.run == run.run_id else None
    # RangeDaily has many runs, of which another program may have done this one.
    if failure and failure.run not in (None, run.run_id) and run.complete():
        return None
    return failure


def _outcome(subject: str, failure: RunFailure | None, lines: Sequence[str]) -> dict[str, Any]:
    if failure is None:
        told, values = [f"{subject} is done."], {"event": "run_done", "exit_code": 0, "error": None}
    else:
        code = "" if failure.exit_code is None else f" with exit code {failure.exit_code}"
        told = [f"{subject} failed{code}.", failure.message]
        values = {"event": "run_failed", "exit_code": failure.exit_code, "error": failure.message}
    text = escape_lines("\n".join(filter(None, [*told, *lines]))).translate(_BRACKETS)[:_MAX_TEXT]
    return {"text": text, **values}


def _dataset_name(run: BaseTask) -> str:
    with suppress(OSError, PipelineError):
        return run.source().name
    return redact_url(run.dataset)


def _without_run(words: Sequence[str], failure: RunFailure) -> list[_Notification]:
    """The notification of a command that failed before its run had begun, for example by an invalid parameter."""
    with CmdlineParser.global_instance(list(words)) as parser:
        given = parser.known_args
        task = Register.get_task_cls(getattr(given, "of", None) or given.root_task)
        if not issubclass(task, BaseTask):
            return []
        family, parameters = task.get_task_family(), dict(task.get_params())
        url, dataset = (
            str(parameters[name].normalize(getattr(given, name, None) or parameters[name].task_value(family, name)))
            for name in ("notify", "dataset")
        )
    # RangeDaily gives its runs parameters that are not read here.
    dataset = "" if given.root_task != family else redact_url(dataset)
    subject = f"{family} of {dataset}" if dataset else family
    content = {**_outcome(subject, failure, ()), "task": family, "dataset": dataset or None}
    return [_Notification(url, lambda: content)] if url else []
