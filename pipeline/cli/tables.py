"""Writes tables and JSON on standard output, for a terminal or a pipe."""

import json
from collections.abc import Sequence
from typing import NamedTuple

import typer

from tasks.events import escape_control_characters

#: Text of an empty cell.
NOTHING = "-"


class Column(NamedTuple):
    """A column of a table.

    Args:
        name: Heading of the column.
        right: Whether its cells are aligned to the right, as numbers are.
    """

    name: str
    right: bool = False


class Coloured(NamedTuple):
    """A cell with a style of rich for terminals, such as "green" or "bold red"."""

    text: str
    style: str


def show_table(title: str, columns: Sequence[Column], rows: Sequence[Sequence[object]]) -> None:
    """Write a table: with lines and colours on a terminal, else as plain text in which no cell is cut or wrapped.

    Args:
        title: Title above the table; may be empty.
        columns: Columns of the table.
        rows: A cell for each column; None is shown as a dash.
    """
    from rich.console import Console

    console = Console()
    if console.is_terminal:
        console.print(_drawn(title, columns, rows))
    else:
        for line in ([escape_control_characters(title)] if title else []) + _aligned(columns, rows):
            typer.echo(line)


def _drawn(title: str, columns: Sequence[Column], rows: Sequence[Sequence[object]]) -> object:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(escape_control_characters(title), "bold") if title else None, title_justify="left", box=SIMPLE_HEAD
    )
    for column in columns:
        table.add_column(Text(column.name), justify="right" if column.right else "left", overflow="fold")
    for row in rows:
        styled = [cell if isinstance(cell, Coloured) else Coloured(_words(cell), "") for cell in row]
        # As Text, so that square brackets in a path are no markup.
        table.add_row(*(Text(escape_control_characters(cell.text), cell.style) for cell in styled))
    return table


def _aligned(columns: Sequence[Column], rows: Sequence[Sequence[object]]) -> list[str]:
    from rich.cells import cell_len

    texts = [
        [column.name for column in columns],
        *([escape_control_characters(_words(cell)) for cell in row] for row in rows),
    ]
    widths = [max(cell_len(row[place]) for row in texts) for place in range(len(columns))]
    lines = []
    for row in texts:
        blanks = [" " * (width - cell_len(text)) for text, width in zip(row, widths, strict=True)]
        cells = [
            blank + text if column.right else text + blank
            for column, text, blank in zip(columns, row, blanks, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def _words(cell: object) -> str:
    if cell is None:
        return NOTHING
    return cell.text if isinstance(cell, Coloured) else str(cell)


def size_of(size: int | None) -> str | None:
    """Format bytes in powers of ten; None where there are none."""
    if not size:
        return None
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:,.1f} {unit}"
    return f"{size} B"


def show_json(value: object) -> None:
    """Write indented JSON on standard output, and nothing else."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    # A path that is not UTF-8 holds lone surrogates; written as \udcXX they are JSON's own notation for them.
    typer.echo(text.encode(errors="backslashreplace").decode())
