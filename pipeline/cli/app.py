"""The command line beside Luigi's: `python -m pipeline status | history | open | ...`."""

import sys
from collections.abc import Callable, Sequence

import typer

from pipeline.cli import (
    audit,
    champion,
    compact,
    export,
    forget,
    gc,
    history,
    inspect,
    open_report,
    predict,
    status,
    watch,
)
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
_VERBS: dict[str, tuple[Callable[..., None], Sequence[str]]] = {
    "status": (status.status, status.HELP),
    "history": (history.history, history.HELP),
    "audit": (audit.audit, audit.HELP),
    "champion": (champion.champion, champion.HELP),
    "open": (open_report.open_report, open_report.HELP),
    "inspect": (inspect.inspect, inspect.HELP),
    "predict": (predict.predict, predict.HELP),
    "export": (export.export, export.HELP),
    "forget": (forget.forget, forget.HELP),
    "watch": (watch.watch, watch.HELP),
    "compact": (compact.compact, compact.HELP),
    "gc": (gc.gc, gc.HELP),
}
for _name, (_verb, _help) in _VERBS.items():
    # A paragraph an item: the terminal breaks it at its own width.
    app.command(_name, help="\n\n".join(_help))(_verb)


def run(words: Sequence[str]) -> None:
    """Run the command line of these words after the program's name; it ends the program."""
    try:
        refuse_empty(words)
    except SettingError as exc:
        typer.echo(str(exc), err=True)
        sys.exit(exc.exit_code)
    app(list(words), prog_name="python -m pipeline")
