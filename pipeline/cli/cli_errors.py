"""Errors of the command line."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from tasks.errors import PipelineError
from tasks.events import escape_lines
from tasks.runtime.os_errors import explain_store_error

INTERRUPTED = 130  # as in shells: 128 and the number of the signal


@contextmanager
def report_errors() -> Iterator[None]:
    """Write the message of an error that the user can correct and exit with 1; exit quietly on Ctrl-C."""
    try:
        yield
    except Exception as exc:
        error = exc if isinstance(exc, PipelineError) else explain_store_error(exc)
        if error is None:
            raise
        typer.echo(escape_lines(str(error)), err=True)
        raise typer.Exit(1) from exc
    except KeyboardInterrupt as exc:
        raise typer.Exit(INTERRUPTED) from exc
