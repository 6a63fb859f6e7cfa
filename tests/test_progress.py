"""Progress is a live line on a terminal, and a line a minute in a log."""

import os
import pty
import sys
import termios
from collections.abc import Callable
from contextlib import suppress

import pytest

from tasks import progress
from tasks.progress import LiveLine, NullProgress, Progress
from tests.support.processes import read_line, read_terminal, running, write_line

Reported = list[tuple[str, int]]

#: Setup, half of the work, a pause in which the test reads the terminal, and the rest.
SCRIPT = """
import sys, time
from tasks import progress

progress.TELL_INTERVAL = 0
with progress.LiveLine("decode") as line:
    with line.preparing("imports"):
        pass
    line.start(200, "photos")
    with line.preparing("network"):
        pass
    for _ in range(100):
        line.advance(1)
        time.sleep(0.003)
    sys.stdin.readline()
    line.advance(100)
print("done")
"""


@pytest.fixture
def reported() -> Reported:
    return []


def listener(reported: Reported) -> Callable[[str, int], None]:
    return lambda line, percentage: reported.append((line, percentage))


@pytest.fixture
def quick_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a line to the log at each step."""
    monkeypatch.setattr(progress, "LOG_INTERVAL", 0)


def test_setup_and_what_is_counted_before_a_start_write_nothing(
    reported: Reported, capsys: pytest.CaptureFixture[str]
) -> None:
    def work(listener: Progress) -> None:
        with listener.preparing("imports"):
            pass
        listener.advance(1)

    work(NullProgress())
    with LiveLine("decode", listener(reported)) as line:
        work(line)
    assert reported == [("decode: preparing the imports", 0)]
    assert capsys.readouterr() == ("", "")


def test_lines_of_tell_are_written_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    with LiveLine("train") as line:
        line.tell("before the start")
        line.start(2, "steps")
        line.tell("Step 100: 87.0%")
    NullProgress().tell("ignored")
    assert capsys.readouterr() == ("before the start\nStep 100: 87.0%\n", "")


class Clock:
    """A clock that only a test advances."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("tasks.progress.time.monotonic", clock)
    return clock


def test_setup_adds_up_also_where_it_fails_without_the_work_between(clock: Clock) -> None:
    with LiveLine("bottleneck") as line:
        for seconds in (2.0, 0.25):
            with suppress(ValueError), line.preparing("network"):
                clock.wait(seconds)
                raise ValueError("no such network")
            clock.wait(30)
        with line.preparing("processes"):
            clock.wait(1.23456)
    assert line.startup == {"network": 2.25, "processes": 1.235}


def test_nested_setup_counts_once_for_the_inner_block(clock: Clock) -> None:
    with LiveLine("bottleneck") as line, line.preparing("network"):
        clock.wait(1)
        with line.preparing("imports"):
            clock.wait(10)
            with line.preparing("network"):
                clock.wait(100)
        clock.wait(1000)
    assert line.startup == {"network": 1101, "imports": 10}


@pytest.mark.usefixtures("quick_log")
def test_line_that_starts_during_setup_outlives_it(reported: Reported) -> None:
    with LiveLine("bottleneck", listener(reported)) as line:
        with line.preparing("network"):
            line.start(4, "photos")
        line.advance(1)
    assert [percentage for _, percentage in reported] == [0, 0, 25]
    assert reported[0][0] == "bottleneck: preparing the network"
    assert reported[-1][0].startswith("bottleneck:  25%")


@pytest.mark.usefixtures("clock")
def test_within_a_second_the_listener_gets_start_and_end_and_a_log_no_line(
    reported: Reported, capsys: pytest.CaptureFixture[str]
) -> None:
    with LiveLine("decode", listener(reported)) as line:
        line.start(1000, "photos")
        for _ in range(1000):
            line.advance(1)
    assert [percentage for _, percentage in reported] == [0, 100]
    assert "1000/1000" in reported[-1][0]
    assert capsys.readouterr() == ("", "")


def test_listener_gets_the_percentage_each_second(reported: Reported, clock: Clock) -> None:
    with LiveLine("decode", listener(reported)) as line:
        line.start(8, "photos")
        for _ in range(8):
            clock.wait(0.6)
            line.advance(1)
    assert [percentage for _, percentage in reported] == [0, 25, 50, 75, 100, 100]


def test_log_gets_a_plain_line_each_minute(capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    with LiveLine("decode") as line:
        line.start(400, "photos")
        lines: list[str] = []
        for minutes in range(1, 5):
            clock.wait(59)
            line.advance(50)
            assert capsys.readouterr() == ("", "")
            clock.wait(2)
            line.advance(50)
            lines += capsys.readouterr().out.splitlines(keepends=True)
            assert len(lines) == minutes
    assert lines[0].startswith("decode:  25%")
    assert all("\r" not in line and "photos" in line for line in lines)


@pytest.mark.usefixtures("quick_log")
def test_second_start_counts_from_zero(reported: Reported, capsys: pytest.CaptureFixture[str]) -> None:
    with LiveLine("download", listener(reported)) as line:
        line.start(10, "B")
        line.advance(10)
        line.start(4, "photos")
        line.advance(1)
    assert [percentage for _, percentage in reported] == [0, 100, 0, 25]
    assert capsys.readouterr().out.count("\n") == 2


@pytest.mark.usefixtures("quick_log")
@pytest.mark.parametrize(
    ("total", "done", "percentage", "shown"),
    [(0, 5, 0, "5.00"), (3, 5, 100, "5.00"), (228_000_000, 114_000_000, 50, "114M/228M")],
)
def test_bytes_are_shown_in_larger_units_and_a_percentage_is_one_though_the_total_is_unknown_or_wrong(
    reported: Reported, capsys: pytest.CaptureFixture[str], total: int, done: int, percentage: int, shown: str
) -> None:
    with LiveLine("download", listener(reported)) as line:
        line.start(total, "B")
        line.advance(done)
    assert reported[-1][1] == percentage
    assert shown in capsys.readouterr().out


def test_terminal_shows_one_live_line_and_clears_it() -> None:
    terminal, other_side = pty.openpty()
    termios.tcsetwinsize(other_side, (24, 80))
    with running([sys.executable, "-c", SCRIPT], stderr=other_side) as process:
        os.close(other_side)
        shown = read_terminal(terminal, "/200")
        write_line(process, "go on")
        shown += read_terminal(terminal)
        assert read_line(process) == "done\n"
    os.close(terminal)
    assert [shown.count(f"decode: preparing the {what}") for what in ("imports", "network")] == [1, 1]
    assert "decode: preparing the network:   0%" in shown, "in the line that was started before"
    assert "decode: " in shown.rpartition("preparing the network")[2], "only until the setup ends"
    assert "photos" in shown
    assert "\n" not in shown, "one line, which is overwritten"
    frames = shown.split("\r")
    assert len(frames) > 3, "it is updated"
    assert frames[-1] == ""
    assert frames[-2].strip() == "", "it is cleared"
