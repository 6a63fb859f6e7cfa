"""Progress: a live line for a person, a line a minute for a log."""

import os
import pty
import select
import sys
import termios
from collections.abc import Callable

import pytest

from tasks import progress
from tasks.progress import LiveLine, NullProgress, Progress
from tests.support.processes import TIMEOUT, read_line, running, write_line

Told = list[tuple[str, int]]

#: What comes before the work, half of it, a pause in which the test looks, the rest.
SCRIPT = """
import sys, time
from tasks import progress

progress.TELL_INTERVAL = 0
with progress.LiveLine("decode", lambda line, percentage: None) as line:
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
def told() -> Told:
    return []


def listener(told: Told) -> Callable[[str, int], None]:
    return lambda line, percentage: told.append((line, percentage))


@pytest.fixture
def quick_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that takes every line."""
    monkeypatch.setattr(progress, "LOG_INTERVAL", 0)


def test_silence_and_a_live_line_listen_to_the_same_calls(capsys: pytest.CaptureFixture[str]) -> None:
    def work(listener: Progress) -> None:
        with listener.preparing("imports"):
            pass
        listener.start(2, "photos")
        listener.advance(2)

    work(NullProgress())
    with LiveLine("decode", lambda *_: None) as line:
        work(line)
    assert capsys.readouterr() == ("", "")


def test_what_is_told_stays_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    with LiveLine("train", lambda *_: None) as line:
        line.tell("before it began")
        line.start(2, "steps")
        line.tell("Step 100: 87.0%")
    NullProgress().tell("nobody hears this")
    assert capsys.readouterr() == ("before it began\nStep 100: 87.0%\n", "")


class Clock:
    """A clock that stands still between the steps of a test."""

    now = 1000.0

    def __call__(self) -> float:
        """What the clock shows, in seconds."""
        return self.now

    def wait(self, seconds: float) -> None:
        """Let time go by."""
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("tasks.progress.time.monotonic", clock)
    return clock


def test_what_is_prepared_again_adds_up_and_work_between_does_not_count(clock: Clock) -> None:
    with LiveLine("bottleneck", lambda *_: None) as line:
        for seconds in (2.0, 0.25):
            with line.preparing("network"):
                clock.wait(seconds)
            clock.wait(30)
        with line.preparing("processes"):
            clock.wait(1.23456)
    assert line.startup == {"network": 2.25, "processes": 1.235}


def test_what_is_prepared_inside_another_preparation_counts_once_for_the_inner_one(clock: Clock) -> None:
    with LiveLine("bottleneck", lambda *_: None) as line, line.preparing("network"):
        clock.wait(1)
        with line.preparing("imports"):
            clock.wait(10)
            with line.preparing("network"):
                clock.wait(100)
        clock.wait(1000)
    assert line.startup == {"network": 1101, "imports": 10}


def test_a_preparation_that_fails_is_timed_and_over(clock: Clock) -> None:
    line = LiveLine("bottleneck", lambda *_: None)

    def fail() -> None:
        with line.preparing("network"):
            clock.wait(3)
            raise ValueError("no such network")

    with pytest.raises(ValueError, match="no such network"):
        fail()
    clock.wait(5)
    with line.preparing("imports"):
        clock.wait(7)
    assert line.startup == {"network": 3, "imports": 7}


@pytest.mark.usefixtures("quick_log")
def test_a_line_that_a_preparation_begins_outlives_it(told: Told) -> None:
    with LiveLine("bottleneck", listener(told)) as line:
        with line.preparing("network"):
            line.start(4, "photos")
        line.advance(1)
    assert [percentage for _, percentage in told] == [0, 0, 25]
    assert told[0][0] == "bottleneck: preparing the network"
    assert told[-1][0].startswith("bottleneck:  25%")


@pytest.mark.usefixtures("quick_log")
def test_nothing_is_counted_after_a_preparation_without_a_line(told: Told) -> None:
    with LiveLine("bottleneck", listener(told)) as line:
        with line.preparing("network"):
            pass
        line.advance(1)
    assert told == [("bottleneck: preparing the network", 0)]


def test_without_a_terminal_nothing_is_written_within_a_minute(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    with LiveLine("decode", listener(told)) as line:
        line.start(1000, "photos")
        for _ in range(1000):
            line.advance(1)
    assert capsys.readouterr() == ("", "")


def test_whoever_listens_is_told_the_start_and_the_end_and_no_more_within_a_second(told: Told) -> None:
    with LiveLine("decode", listener(told)) as line:
        line.start(1000, "photos")
        for _ in range(1000):
            line.advance(1)
    assert [percentage for _, percentage in told] == [0, 100]
    assert "1000/1000" in told[-1][0]


def test_whoever_listens_is_told_each_second_how_many_are_done(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("tasks.progress.time.monotonic", lambda: now)
    with LiveLine("decode", listener(told)) as line:
        line.start(8, "photos")
        for _ in range(8):
            now += 0.6
            line.advance(1)
    assert [percentage for _, percentage in told] == [0, 25, 50, 75, 100, 100]


def test_without_a_terminal_each_minute_is_a_plain_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("tasks.progress.time.monotonic", lambda: now)
    with LiveLine("decode", lambda *_: None) as line:
        line.start(400, "photos")
        lines: list[str] = []
        for minutes in range(1, 5):
            now += 59
            line.advance(50)
            assert capsys.readouterr() == ("", "")
            now += 2
            line.advance(50)
            lines += capsys.readouterr().out.splitlines(keepends=True)
            assert len(lines) == minutes
    assert lines[0].startswith("decode:  25%")
    assert all("\r" not in line and "photos" in line for line in lines)


@pytest.mark.usefixtures("quick_log")
def test_a_second_start_begins_to_count_anew(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    with LiveLine("download", listener(told)) as line:
        line.start(10, "B")
        line.advance(10)
        line.start(4, "photos")
        line.advance(1)
    assert [percentage for _, percentage in told] == [0, 100, 0, 25]
    assert capsys.readouterr().out.count("\n") == 2


@pytest.mark.usefixtures("quick_log")
@pytest.mark.parametrize(("total", "percentage"), [(0, 0), (3, 100)])
def test_a_percentage_is_one_though_the_total_is_unknown_or_wrong(
    told: Told, capsys: pytest.CaptureFixture[str], total: int, percentage: int
) -> None:
    with LiveLine("download", listener(told)) as line:
        line.start(total, "B")
        line.advance(5)
    assert told[-1][1] == percentage
    assert capsys.readouterr().out


@pytest.mark.usefixtures("quick_log")
def test_bytes_are_shown_in_larger_units(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    with LiveLine("download", listener(told)) as line:
        line.start(228_000_000, "B")
        line.advance(114_000_000)
    assert "114M/228M" in capsys.readouterr().out


def test_what_is_counted_before_a_start_is_dropped(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    with LiveLine("decode", listener(told)) as line:
        line.advance(1)
    assert capsys.readouterr() == ("", "")


def read_until(terminal: int, text: str = "") -> str:
    """Read what a terminal shows until a text is there, or nobody writes to it any more."""
    seen = b""
    while not text or text.encode() not in seen:
        assert select.select([terminal], [], [], TIMEOUT)[0], seen
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # Linux's way to say that the other side is closed
            break
        if not piece:
            break
        seen += piece
    return seen.decode()


def test_on_a_terminal_one_live_line_is_shown_and_cleared() -> None:
    terminal, other_side = pty.openpty()
    termios.tcsetwinsize(other_side, (24, 80))
    with running([sys.executable, "-c", SCRIPT], stderr=other_side) as process:
        os.close(other_side)
        shown = read_until(terminal, "/200")
        write_line(process, "go on")
        shown += read_until(terminal)
        assert read_line(process) == "done\n"
    os.close(terminal)
    assert [shown.count(f"decode: preparing the {what}") for what in ("imports", "network")] == [1, 1]
    assert "decode: preparing the network:   0%" in shown, "beside the line that was begun before"
    assert "decode: " in shown.rpartition("preparing the network")[2], "and no longer when it is done"
    assert "photos" in shown
    assert "\n" not in shown, "one line, written over and over"
    pictures = shown.split("\r")
    assert len(pictures) > 3, "it lives"
    assert pictures[-1] == ""
    assert pictures[-2].strip() == "", "nothing is left of it"
