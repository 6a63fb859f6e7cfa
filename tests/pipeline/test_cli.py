"""The command line of the verbs: help, imports, and tables and JSON on a terminal and in a pipe."""

import json
import os
import pty
import sys

import pytest
import typer

from pipeline.cli.app import app
from pipeline.cli.tables import Coloured, Column, show_json, show_table
from tests.pipeline.command import Project, option_words, verb
from tests.pipeline.in_process import decode, options
from tests.support.processes import TIMEOUT, read_terminal, run, running

VERBS = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # the command of an app with verbs is a group
COLUMNS = [Column("stage"), Column("photos", right=True), Column("key")]
ROWS: list[list[object]] = [["decode", "1,997", "x" * 120], [Coloured("train", "green"), None, "[bold]a\nb"]]
SCRIPT = f"""
from pipeline.cli.tables import Coloured, Column, show_table
show_table("Stages", {COLUMNS!r}, {ROWS!r})
"""
#: Calls a verb and then prints what it imported of TensorFlow and the like.
IMPORTS = """
import sys
from pipeline.cli.app import app
if sys.argv[1:]:
    app(sys.argv[1:], standalone_mode=False)
print("imported", *sorted({"tensorflow", "keras"} & set(sys.modules)))
"""


@pytest.mark.parametrize("name", VERBS)
def test_help_has_examples_and_every_option_in_plain_characters(name: str) -> None:
    shown = verb(name, "--help").output
    assert "Examples:" in shown
    assert f"python -m pipeline {name}" in shown
    assert shown.isascii()
    named = [option for each in VERBS[name].params for option in each.opts if option.startswith("--")]
    assert [option for option in named if option not in shown] == []


def test_starting_the_command_line_and_status_import_nothing_heavy(project: Project) -> None:
    decode(project)
    for words in ([], ["status", *option_words(options(project))]):
        done = run([sys.executable, "-c", IMPORTS, *words])
        assert (done.code, done.output.splitlines()[-1]) == (0, "imported"), done.errors


def on_a_terminal(**environment: str) -> str:
    """The output that a terminal of 80 columns gets."""
    ours, theirs = pty.openpty()
    variables = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "COLUMNS": "80", **environment}
    with running([sys.executable, "-c", SCRIPT], variables, stdout=theirs) as process:
        os.close(theirs)
        sent = read_terminal(ours)
        os.close(ours)
        assert process.wait(TIMEOUT) == 0
    return sent


@pytest.mark.parametrize(
    ("title", "columns", "rows", "written"),
    [
        (
            "Stages",
            COLUMNS,
            ROWS,
            f"Stages\nstage   photos  key\ndecode   1,997  {'x' * 120}\ntrain        -  [bold]a\\nb\n",
        ),
        (
            "",
            [Column("label"), Column("photos", right=True)],
            [["雛菊", 5], ["rose", 12]],
            "label  photos\n雛菊        5\nrose       12\n",
        ),
        ("", [Column("path")], [["a\udcff\x1b[2J"]], "path\na\\udcff\\x1b[2J\n"),
    ],
    ids=["neither cut nor wrapped", "wide letters", "not UTF-8"],
)
def test_cells_are_aligned_in_a_pipe(
    capsys: pytest.CaptureFixture[str], title: str, columns: list[Column], rows: list[list[object]], written: str
) -> None:
    show_table(title, columns, rows)
    assert capsys.readouterr().out == written


def test_a_terminal_gets_colours_unless_no_color_is_set_and_brackets_as_they_are() -> None:
    sent = on_a_terminal()
    assert "\x1b[32mtrain" in sent
    assert "[bold]a\\nb" in sent
    assert sent.count("x") >= 120, "a long cell is folded, not cut"
    assert "\x1b[32m" not in on_a_terminal(NO_COLOR="1")


def test_json_is_all_that_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"path": "a\udcff", "label": "gänse", "photos": 3}
    show_json(value)
    written = capsys.readouterr().out
    assert json.loads(written) == value
    assert "gänse" in written
