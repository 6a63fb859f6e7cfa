"""Log lines of native code are captured, and written out if they may explain a failure."""

import os

import pytest

from tasks.errors import BackboneError
from tasks.runtime.capture_stderr import capture_stderr


def test_lines_are_captured_in_the_block_alone(capfd: pytest.CaptureFixture[str]) -> None:
    with capture_stderr():
        os.write(2, b"I0000 delegate created\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


@pytest.mark.parametrize(
    ("error", "shown"), [(ValueError("failed"), "F0000 the cause\n"), (BackboneError("Give another one."), "")]
)
def test_lines_are_written_out_for_errors_other_than_the_users(
    capfd: pytest.CaptureFixture[str], error: Exception, shown: str
) -> None:
    def fail() -> None:
        os.write(2, b"F0000 the cause\n")
        raise error

    with pytest.raises(type(error)), capture_stderr():
        fail()
    assert capfd.readouterr().err == shown
