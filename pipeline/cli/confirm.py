"""Asks for confirmation."""

import sys

import typer


def confirm(question: str, refusal: str) -> None:
    """Ask a question; exit with 1 after the words of refusal unless the answer is yes."""
    if not sys.stdin.isatty():
        typer.echo(f"{refusal}: nobody can be asked here. Give --yes to go on without a question.", err=True)
        raise typer.Exit(1)
    if not typer.confirm(question):
        typer.echo(f"{refusal}.")
        raise typer.Exit(1)


def confirm_removal() -> None:
    """Ask for confirmation of a removal; exit with 1 unless the answer is yes."""
    confirm("Remove it?", "Nothing was removed")
