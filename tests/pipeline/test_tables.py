"""Tables and JSON, on a terminal and into a pipe."""

import json
import os
import pty
import sys

import pytest

from pipeline.cli.tables import Coloured, Column, show_json, show_table
from tests.support.processes import TIMEOUT, running

COLUMNS = [Column("stage"), Column("photos", right=True), Column("key")]
ROWS: list[list[object]] = [["decode", "1,997", "x" * 120], [Coloured("train", "green"), None, "[bold]a\nb"]]
SCRIPT = f"""
from pipeline.cli.tables import Coloured, Column, show_table
show_table("Stages", {COLUMNS!r}, {ROWS!r})
"""


def on_a_terminal(**environment: str) -> str:
    """What a terminal of 80 columns is sent."""
    ours, theirs = pty.openpty()
    variables = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "COLUMNS": "80", **environment}
    with running([sys.executable, "-c", SCRIPT], variables, stdout=theirs) as process:
        os.close(theirs)
        sent = b""
        # Linux ends a terminal that nobody writes to any more with an error.
        try:
            while piece := os.read(ours, 65536):
                sent += piece
        except OSError:
            pass
        os.close(ours)
        assert process.wait(TIMEOUT) == 0
    return sent.decode()


def test_in_a_pipe_cells_are_aligned_and_neither_cut_nor_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    show_table("Stages", COLUMNS, ROWS)
    assert capsys.readouterr().out == (
        f"Stages\nstage   photos  key\ndecode   1,997  {'x' * 120}\ntrain        -  [bold]a\\nb\n"
    )


def test_wide_letters_count_as_two(capsys: pytest.CaptureFixture[str]) -> None:
    show_table("", [Column("label"), Column("photos", right=True)], [["雛菊", 5], ["rose", 12]])
    assert capsys.readouterr().out == "label  photos\n雛菊        5\nrose       12\n"


def test_a_name_that_is_not_utf_8_is_shown_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    show_table("", [Column("path")], [["a\udcff\x1b[2J"]])
    assert capsys.readouterr().out == "path\na\\udcff\\x1b[2J\n"


def test_a_terminal_gets_colours_and_brackets_as_they_are() -> None:
    sent = on_a_terminal()
    assert "\x1b[32mtrain" in sent
    assert "[bold]a\\nb" in sent
    assert sent.count("x") >= 120, "a long cell is folded, not cut"


def test_no_color_is_honoured_on_a_terminal() -> None:
    assert "\x1b[32m" not in on_a_terminal(NO_COLOR="1")


def test_json_is_all_that_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"path": "a\udcff", "label": "gänse", "photos": 3}
    show_json(value)
    written = capsys.readouterr().out
    assert json.loads(written) == value
    assert "gänse" in written
