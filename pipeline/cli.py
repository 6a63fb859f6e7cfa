"""The command line beside Luigi's: `python -m pipeline watch | compact`."""

import sys

import typer

from pipeline.commands import compact, watch

app = typer.Typer(
    help="Look after the runs of this project and what they left. Trainings are started with luigi.",
    no_args_is_help=True,
    add_completion=False,
    # Boxes and colours are for a terminal; a log gets plain lines.
    rich_markup_mode="rich" if sys.stdout.isatty() else None,
    pretty_exceptions_enable=False,
)
app.command(help=watch.HELP)(watch.watch)
app.command(help=compact.HELP)(compact.compact)
