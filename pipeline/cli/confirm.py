"""Asks for confirmation before a removal."""

import sys

import typer


def confirm_removal() -> None:
    """Ask for confirmation; exit with 1 unless the answer is yes."""
    if not sys.stdin.isatty():
        typer.echo("Nothing was removed: nobody can be asked here. Say --yes to remove it without.", err=True)
        raise typer.Exit(1)
    if not typer.confirm("Remove it?"):
        typer.echo("Nothing was removed.")
        raise typer.Exit(1)
