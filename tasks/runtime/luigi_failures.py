"""Reports failures of Luigi's program: a log line for people, an event for programs, and an exit code.

Luigi logs failures, and calls event handlers for those of tasks. Exit code and event come from the handlers, so that
they do not depend on the log level.
"""

import logging
import re
import signal
import traceback
from typing import Any

import luigi
import luigi.interface
from luigi.cmdline_parser import CmdlineParser
from luigi.execution_summary import LuigiRunResult, LuigiStatusCode
from luigi.rpc import RPCError
from luigi.setup_logging import InterfaceLogging

from tasks import errors
from tasks.errors import BUG, MachineError, PipelineError, SettingError
from tasks.events import emit, escape_lines, set_format
from tasks.runtime.exit_codes import RunFailure, first_failure, is_done, is_stopped, set_failure
from tasks.runtime.luigi_settings import check_luigi_parameters, hide_private_values, refuse_empty
from tasks.runtime.os_errors import exception_chain, explain_store_error
from tasks.runtime.run_end import report_end

LOG = logging.getLogger("luigi-interface")
_RETRY = "Failed connecting to remote scheduler"
_create_luigi_task = CmdlineParser.get_task_obj
_run_luigi = luigi.interface._run  # noqa: SLF001 (Luigi's program calls it by this name)


def install() -> None:
    """Log, emit and count each failure of Luigi's program."""
    LOG.addFilter(PlainErrors())
    # Luigi adds its own handler; where a library configures Python's root logger, each line would be logged twice.
    LOG.propagate = False
    luigi.interface._run = _run_program  # noqa: SLF001 (as above)
    CmdlineParser.get_task_obj = _create_task  # type: ignore[method-assign]
    luigi.Task.event_handler(luigi.Event.FAILURE)(_report_task_failure)
    luigi.Task.event_handler(luigi.Event.PROCESS_FAILURE)(_log_worker_crash)


class PlainErrors(logging.Filter):
    """Logs an error that the user can correct as its message alone, and with its traceback at level DEBUG."""

    def __init__(self) -> None:
        super().__init__()
        self._retry_logged = False

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite a record in place; returns False for one that is not to be logged."""
        if isinstance(record.msg, str) and record.msg.startswith(_RETRY):
            # Luigi connects from several threads, and each logs each attempt.
            logged, self._retry_logged = self._retry_logged, True
            record.msg, record.args, record.exc_info = "%s", (_without_credentials(record.getMessage()),), None
            return not logged
        raised = record.exc_info[1] if record.exc_info else None
        if isinstance(raised, RPCError):
            # It ends the program: `_run_program` explains it.
            return False
        error = raised and (explain_store_error(raised) or raised)
        if raised and isinstance(error, (PipelineError, luigi.parameter.ParameterException)):
            record.msg, record.args, record.exc_info = "%s", (escape_lines(str(error)),), None
            if LOG.isEnabledFor(logging.DEBUG):
                record.exc_text = _escape_traceback("".join(traceback.format_exception(raised)))
        return True


def report_planning_error(text: str) -> bool:
    """Report an error that Luigi met when it planned tasks, such as in a parameter that RangeDaily fills in.

    Args:
        text: Traceback of the error, which is all that Luigi keeps of it.

    Returns:
        True for an error that the user can correct; any other is not reported.
    """
    raised = list(re.finditer(rf"^{re.escape(errors.__name__)}\.(\w+): ", text, re.MULTILINE))
    if not raised:
        return False
    error = getattr(errors, raised[-1][1])(text[raised[-1].end() :].strip())
    LOG.error("%s", escape_lines(str(error)))
    LOG.debug("%s", _escape_traceback(text))
    _report(error)
    return True


def _report(error: BaseException, run: str | None = None) -> None:
    code = error.exit_code if isinstance(error, PipelineError) else BUG
    set_failure(RunFailure(code, _without_credentials(str(error)), run))
    emit("error", None, kind=type(error).__name__, exit_code=code, message=str(error))


def _run_program(*arguments: Any, **keywords: Any) -> LuigiRunResult:
    """Run Luigi's program; raises errors outside of tasks, such as a wrong parameter, with a message for the user."""
    words = arguments[0] if arguments else ()
    try:
        refuse_empty(words)
        result: LuigiRunResult = _run_luigi(*arguments, **keywords)
    except Exception as exc:
        error = _explain(exc)
        _report(error)
        report_end(words, first_failure())
        if error is exc:
            raise
        raise error from exc
    report_end(words, first_failure() or _unreported_failure(result))
    return result


def _unreported_failure(result: LuigiRunResult) -> RunFailure | None:
    """Return a failure that Luigi alone knows, such as a task that it did not start; None if there is none."""
    if is_done() or result.status in (LuigiStatusCode.SUCCESS, LuigiStatusCode.SUCCESS_WITH_RETRY):
        return None
    return RunFailure(None, f"Luigi reports that {result.status.value[1]}. Its log names the cause.")


def _create_task(parser: CmdlineParser) -> luigi.Task:
    """Create the command line's task, once its format of events and its log level are set."""
    if getattr(parser.known_args, "log_format", None) == "json":
        set_format("json")
    check_luigi_parameters()
    hide_private_values(parser)
    # Luigi does so later, and logs an error in the task's parameters at the level of luigi.cfg.
    InterfaceLogging.setup(luigi.interface.core())
    task: luigi.Task = _create_luigi_task(parser)
    return task


def _explain(exc: Exception) -> Exception:
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


def _escape_traceback(text: str) -> str:
    return escape_lines(_without_credentials(text.rstrip()))


def _without_credentials(text: str) -> str:
    return re.sub(r"//[^/@\s]*@", "//", text)


def _report_task_failure(task: luigi.Task, error: BaseException) -> None:
    _report(explain_store_error(error) or error, getattr(task, "run_id", None))


def _log_worker_crash(task: luigi.Task, message: str) -> None:
    """Log a worker process that crashed, unless a signal stopped them all; Luigi only counts its task as failed."""
    if is_stopped():
        return
    code = int(message.rpartition(" ")[2])
    killed = code == -signal.SIGKILL
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    text = (
        f"The process of {getattr(task, 'stage', task.task_family)} {how}."
        + " If nobody did that, the system had no memory left: take a machine with more, or fewer --workers." * killed
        + " Published results are kept; run again to go on from there."
    )
    set_failure(RunFailure(MachineError.exit_code if killed else BUG, text, getattr(task, "run_id", None)))
    LOG.error("%s", text)
