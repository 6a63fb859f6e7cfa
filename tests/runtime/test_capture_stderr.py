"""Hushing: log lines below Python are held back, and shown where they explain a failure."""

import os

import pytest

from tasks.errors import BackboneError
from tasks.runtime.capture_stderr import capture_stderr


def test_lines_from_below_python_are_held_back(capfd: pytest.CaptureFixture[str]) -> None:
    with capture_stderr():
        os.write(2, b"I0000 delegate created\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_lines_are_shown_where_the_block_fails(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        os.write(2, b"F0000 what went wrong\n")
        raise ValueError("failed")

    with pytest.raises(ValueError, match="failed"), capture_stderr():
        fail()
    assert capfd.readouterr().err == "F0000 what went wrong\n"


def test_lines_are_not_shown_beside_an_error_that_says_everything(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        os.write(2, b"F0000 forty lines of it\n")
        raise BackboneError("It cannot be had. Give another one.")

    with pytest.raises(BackboneError), capture_stderr():
        fail()
    assert capfd.readouterr().err == ""
