"""The command line beside Luigi's: `python -m pipeline status | history | open | ...`."""

import sys
from collections.abc import Sequence

import typer

from pipeline.cli import compact, forget, gc, history, inspect, open_report, predict, status, watch
from tasks.errors import SettingError
from tasks.runtime.luigi_settings import refuse_empty

app = typer.Typer(
    help="Look after the runs of this project and their outputs. Trainings are started with luigi.",
    no_args_is_help=True,
    add_completion=False,
    # Boxes and colours are for terminals; a log gets plain lines.
    rich_markup_mode="rich" if sys.stdout.isatty() else None,
    pretty_exceptions_enable=False,
)
app.command(help=status.HELP)(status.status)
app.command(help=history.HELP)(history.history)
app.command("open", help=open_report.HELP)(open_report.open_report)
app.command(help=inspect.HELP)(inspect.inspect)
app.command(help=predict.HELP)(predict.predict)
app.command(help=forget.HELP)(forget.forget)
app.command(help=watch.HELP)(watch.watch)
app.command(help=compact.HELP)(compact.compact)
app.command(help=gc.HELP)(gc.gc)


def run(words: Sequence[str]) -> None:
    """Run a command line; it ends the program.

    Args:
        words: The words after the program's name.
    """
    try:
        refuse_empty(words)
    except SettingError as exc:
        typer.echo(str(exc), err=True)
        sys.exit(exc.exit_code)
    app(list(words), prog_name="python -m pipeline")
