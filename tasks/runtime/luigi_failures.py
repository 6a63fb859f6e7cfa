"""How a failure of Luigi's program is told: a sentence for people, an event for programs, and an exit code.

Luigi logs each failure, and hands those of tasks to event handlers. The exit code and the event come from the handlers,
so that they are the same whatever is logged.
"""

import logging
import re
import signal
from typing import Any

import luigi
import luigi.interface
from luigi.cmdline_parser import CmdlineParser
from luigi.rpc import RPCError

from tasks import errors
from tasks.errors import BUG, MachineError, PipelineError, SettingError
from tasks.events import emit, escape_lines, set_format
from tasks.runtime.luigi_settings import check_luigi_parameters, refuse_empty
from tasks.runtime.os_errors import exception_chain, explain_store_error
from tasks.runtime.signals import set_exit_code

LOG = logging.getLogger("luigi-interface")
_RETRY = "Failed connecting to remote scheduler"
_make_luigi_task = CmdlineParser.get_task_obj
_run_luigi = luigi.interface._run  # noqa: SLF001 (Luigi's program calls it by this name)


class PlainErrors(logging.Filter):
    """Shows an error that the user can correct as its sentence, without the traceback that Luigi adds."""

    def __init__(self) -> None:
        super().__init__()
        self._retries_are_told = False

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record in place; returns whether it is to be shown."""
        if isinstance(record.msg, str) and record.msg.startswith(_RETRY):
            # Several threads of Luigi connect, and each logs every attempt with the traceback of none.
            told, self._retries_are_told = self._retries_are_told, True
            record.msg, record.args, record.exc_info = "%s", (_without_credentials(record.getMessage()),), None
            return not told
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, RPCError):
            # It ends the program, and then `_run` raises it as a sentence.
            return False
        if error is not None:
            error = explain_store_error(error) or error
        if isinstance(error, (PipelineError, luigi.parameter.ParameterException)):
            record.msg, record.args, record.exc_info = "%s", (escape_lines(str(error)),), None
        return True


def report_failures() -> None:
    """Let failures of Luigi's program decide its exit code, and log each as its sentence."""
    LOG.addFilter(PlainErrors())
    # It has a handler of its own. A library that sets up Python's logging for itself would have each line told twice.
    LOG.propagate = False
    luigi.interface._run = _run  # noqa: SLF001 (as above)
    CmdlineParser.get_task_obj = _make_task  # type: ignore[method-assign]


def report_traceback(text: str) -> bool:
    """Report an error that Luigi met in planning, such as a parameter's of a date that RangeDaily fills in.

    Args:
        text: Its traceback, which is all that Luigi keeps of it.

    Returns:
        Whether it is one that the user can correct; of others nothing is reported.
    """
    raised = list(re.finditer(rf"^{re.escape(errors.__name__)}\.(\w+): ", text, re.MULTILINE))
    if not raised:
        return False
    error = getattr(errors, raised[-1][1])(text[raised[-1].end() :].strip())
    LOG.error("%s", escape_lines(str(error)))
    _report(error)
    return True


def _report(error: BaseException) -> None:
    code = error.exit_code if isinstance(error, PipelineError) else BUG
    set_exit_code(code)
    emit("error", None, kind=type(error).__name__, exit_code=code, message=str(error))


def _run(*arguments: Any, **keywords: Any) -> Any:
    """Run Luigi's program; what no task is to blame for, such as a parameter or the scheduler, is raised from here."""
    try:
        if arguments:
            refuse_empty(arguments[0])
        return _run_luigi(*arguments, **keywords)  # type: ignore[no-untyped-call]  # Luigi's has no types
    except Exception as exc:
        error = _sentence(exc)
        _report(error)
        if error is exc:
            raise
        raise error from exc


def _make_task(parser: CmdlineParser) -> luigi.Task:
    """Make the task of a command line, once events are written as it asks and Luigi's own parameters are right."""
    if getattr(parser.known_args, "log_format", None) == "json":
        set_format("json")
    check_luigi_parameters()
    task: luigi.Task = _make_luigi_task(parser)  # type: ignore[no-untyped-call]  # Luigi's has no types
    return task


def _sentence(exc: Exception) -> Exception:
    if isinstance(exc, luigi.parameter.ParameterException):
        return SettingError(str(exc))
    if isinstance(exc, RPCError):
        address = str(exc).rpartition("remote scheduler ")[2]
        reasons = [cause.strerror for cause in exception_chain(exc) if isinstance(cause, OSError) and cause.strerror]
        return MachineError(
            f"The scheduler luigid does not answer at {_without_credentials(address)} "
            f"({reasons[-1] if reasons else _without_credentials(str(exc.sub_exception))}). Start it, correct "
            "--scheduler-host and --scheduler-port, or run without one: --local-scheduler."
        )
    return explain_store_error(exc) or exc


def _without_credentials(text: str) -> str:
    return re.sub(r"//[^/@\s]*@", "//", text)


@luigi.Task.event_handler(luigi.Event.FAILURE)  # type: ignore[no-untyped-call, untyped-decorator]  # Luigi's has no types
def _report_failure(_: luigi.Task, error: BaseException) -> None:
    _report(explain_store_error(error) or error)


@luigi.Task.event_handler(luigi.Event.PROCESS_FAILURE)  # type: ignore[no-untyped-call, untyped-decorator]
def _report_crash(task: luigi.Task, message: str) -> None:
    """Say that a worker process crashed; Luigi itself only counts its task as failed."""
    code = int(message.rpartition(" ")[2])
    killed = code == -signal.SIGKILL
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    set_exit_code(MachineError.exit_code if killed else BUG)
    LOG.error(
        "The process of %s %s.%s What was published is kept; run again to go on from there.",
        getattr(task, "stage", task.task_family),
        how,
        " If nobody did that, the system had no memory left: take a machine with more, or fewer --workers." * killed,
    )
