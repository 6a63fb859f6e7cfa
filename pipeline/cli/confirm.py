"""Asks a person before something is removed."""

import sys

import typer


def confirm_removal() -> None:
    """Let a person say yes; anything else ends the command with exit code 1."""
    if not sys.stdin.isatty():
        typer.echo("Nothing was removed: nobody can be asked here. Say --yes to remove it without.", err=True)
        raise typer.Exit(1)
    if not typer.confirm("Remove it?"):
        typer.echo("Nothing was removed.")
        raise typer.Exit(1)
