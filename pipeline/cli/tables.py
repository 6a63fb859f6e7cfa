"""Writes tables and JSON on standard output, for a terminal or a pipe."""

import json
from collections.abc import Sequence
from typing import NamedTuple

import typer
from rich.filesize import decimal

from tasks.events import escape_control_characters

#: Text of an empty cell.
NOTHING = "-"
#: Width of a pipe, in which no cell is cut or wrapped.
_WIDEST = 10**9


class Column(NamedTuple):
    """A column of a table."""

    name: str  #: Heading of the column.
    right: bool = False  #: Whether its cells are aligned to the right, as numbers are.


class Coloured(NamedTuple):
    """A cell with a style of rich for terminals, such as "green" or "bold red"."""

    text: str
    style: str


def show_table(title: str, columns: Sequence[Column], rows: Sequence[Sequence[object]]) -> None:
    """Write a table: with lines and colours on a terminal, else as plain text in which no cell is cut or wrapped.

    The title may be empty, and None is shown as a dash.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    def text(cell: object) -> Text:
        """The text of a cell; square brackets in it are no markup."""
        words, style = cell if isinstance(cell, Coloured) else (NOTHING if cell is None else str(cell), "")
        return Text(escape_control_characters(words), style)

    console = Console()
    lined = console.is_terminal
    table = Table(box=SIMPLE_HEAD if lined else None, pad_edge=lined)
    for column in columns:
        table.add_column(Text(column.name), justify="right" if column.right else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(text, row))
    if lined:
        console.print(*([text(Coloured(title, "bold"))] if title else []), table)
        return
    wide = Console(width=_WIDEST)
    with wide.capture() as drawn:
        wide.print(table)
    for line in ([f"{text(title)}"] if title else []) + drawn.get().splitlines():
        typer.echo(line.rstrip())


def size_of(size: int | None) -> str | None:
    """Format bytes in powers of ten; None where there are none."""
    return decimal(size) if size else None


def show_json(value: object) -> None:
    """Write indented JSON on standard output, and nothing else."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    # A path that is not UTF-8 holds lone surrogates; written as \udcXX they are JSON's own notation for them.
    typer.echo(text.encode(errors="backslashreplace").decode())
