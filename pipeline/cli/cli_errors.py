"""How every verb ends that cannot do what it was asked for."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from tasks.errors import PipelineError
from tasks.events import escape_lines
from tasks.runtime.os_errors import explain_store_error

INTERRUPTED = 130  # as shells have it: 128 and the number of the signal


@contextmanager
def plainly() -> Iterator[None]:
    """Show an error that the user can mend as its sentence, and end quietly on Ctrl-C."""
    try:
        yield
    except PipelineError as exc:
        typer.echo(escape_lines(str(exc)), err=True)
        raise typer.Exit(1) from exc
    except Exception as exc:
        error = explain_store_error(exc)
        if error is None:
            raise
        typer.echo(escape_lines(str(error)), err=True)
        raise typer.Exit(1) from exc
    except KeyboardInterrupt as exc:
        raise typer.Exit(INTERRUPTED) from exc
