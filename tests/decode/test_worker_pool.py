"""Work on several processes, which may crash, hang and be killed."""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
import pytest
from PIL import Image

from tasks.decode import worker_process
from tasks.decode.images import Picture
from tasks.decode.photo_file import DecodeResult, Photo
from tasks.decode.rejections import Reason, Rejection
from tasks.decode.worker_pool import BATCH, map_in_processes
from tasks.errors import MachineError
from tests.decode.deadly import (
    DEADLY,
    Stillborn,
    decode_in_a_hurry,
    decode_with_little_memory,
    die_of_the_deadly,
    fail,
    linger,
    spin,
    stop,
)
from tests.decode.drawing import encode, png, smooth, write_photo
from tests.support.processes import descendants, run


def numbered(count: int) -> list[Photo]:
    return [Photo(f"{number:064x}", f"{number}.jpg") for number in range(count)]


def living_workers() -> set[psutil.Process]:
    """The child processes, except for multiprocessing's resource tracker, which stays."""
    found = set()
    for child in descendants(os.getpid()):
        with suppress(psutil.NoSuchProcess):
            if any("spawn_main" in word for word in child.cmdline()):
                found.add(child)
    return found


def results_of(work: Callable[[Photo], DecodeResult], photos: Sequence[Photo], workers: int = 2) -> list[Rejection]:
    """The rejections of photos, in order, by work that makes no pictures."""
    outcomes = [outcome for batch in map_in_processes(work, photos, workers) for outcome in batch]
    assert [outcome.photo for outcome in outcomes] == list(photos)
    return [outcome.result for outcome in outcomes if isinstance(outcome.result, Rejection)]


def test_every_photo_comes_back_once_and_in_order_from_several_processes() -> None:
    processes = {result.message for result in results_of(linger, numbered(10 * BATCH + 3))}
    assert len(processes) == 2
    assert str(os.getpid()) not in processes


def test_photos_that_end_their_process_are_rejected_by_its_signal_and_all_others_are_not() -> None:
    by_signal = {
        **dict.fromkeys((signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS), Reason.CRASHED),
        signal.SIGVTALRM: Reason.TIMED_OUT,
        **dict.fromkeys((signal.SIGKILL, signal.SIGTERM), Reason.KILLED),
    }
    photos = numbered(4 * BATCH)
    for place, number in enumerate(by_signal, 1):
        photos[9 * place] = Photo(photos[9 * place].sha256, f"{DEADLY}{number.value}")
    reasons = [result.reason for result in results_of(die_of_the_deadly, photos)]
    assert [reason for reason in reasons if reason != Reason.EMPTY] == list(by_signal.values())
    assert [reason.lasting for reason in reasons[9 : 9 * 7 : 9]] == [True] * 4 + [False] * 2


@pytest.mark.slow
def test_a_process_that_hangs_is_killed_and_its_photo_left_to_the_next_run(monkeypatch: pytest.MonkeyPatch) -> None:
    # The other two photos take less even on a busy machine.
    monkeypatch.setattr(worker_process, "RESULT_TIMEOUT", 5.0)
    results = results_of(stop, numbered(3))
    assert [result.reason for result in results] == [Reason.EMPTY, Reason.KILLED, Reason.EMPTY]
    assert not living_workers()


def test_a_codec_that_never_returns_is_ended_after_twice_the_time() -> None:
    results = results_of(partial(spin, seconds=0.2), numbered(3))
    assert [result.reason for result in results] == [Reason.EMPTY, Reason.TIMED_OUT, Reason.EMPTY]


def endless() -> bytes:
    """Draw a progressive JPEG of 80 KB that takes seconds, since each of its scans of 31 bytes covers all pixels."""
    data = encode(Image.new("L", (4000, 4000)), "JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + 500 * scan + data[-2:]


def enormous() -> bytes:
    """Draw a PNG whose pixels take a byte of memory each, and at most a bit of the file."""
    return png(16_000, 16_000, 1, 0, (b"\0" + bytes(2000)) * 16_000)


@pytest.mark.parametrize(
    ("draw", "work", "reason"),
    [
        (endless, decode_in_a_hurry, Reason.TIMED_OUT),
        pytest.param(
            enormous,
            decode_with_little_memory,
            Reason.TOO_LARGE,
            marks=pytest.mark.skipif(sys.platform != "linux", reason="this system does not limit memory in this way"),
        ),
    ],
)
def test_a_photo_beyond_the_limits_is_rejected_and_the_next_one_is_decoded(
    tmp_path: Path, draw: Callable[[], bytes], work: Callable[..., DecodeResult], reason: Reason
) -> None:
    photos = [write_photo(tmp_path, "bomb", draw()), write_photo(tmp_path, "good", encode(smooth(40, 30), "PNG"))]
    [[bomb, good]] = map_in_processes(partial(work, folder=tmp_path), photos, 1)
    assert isinstance(bomb.result, Rejection)
    assert bomb.result.reason == reason
    assert isinstance(good.result, Picture)


def test_no_photo_is_rejected_if_processes_do_not_start() -> None:
    with pytest.raises(MachineError, match="signal 9"):
        list(map_in_processes(Stillborn(), numbered(3), 1))
    assert not living_workers()


def test_no_photos_need_no_process() -> None:
    assert list(map_in_processes(Stillborn(), [], 2)) == []


def test_an_exception_of_the_work_is_raised_with_its_traceback_and_ends_the_processes() -> None:
    with pytest.raises(ZeroDivisionError, match="a bug met") as caught:
        list(map_in_processes(fail, numbered(8 * BATCH), 2))
    assert "in fail" in caught.value.__notes__[0]
    assert not living_workers()


def test_closing_the_generator_ends_the_processes() -> None:
    batches = map_in_processes(die_of_the_deadly, numbered(100 * BATCH), 2)
    next(batches)
    assert living_workers()
    batches.close()
    assert not living_workers()


def test_a_worker_that_is_killed_while_it_waits_costs_no_photo() -> None:
    photos = numbered(40 * BATCH)
    batches = map_in_processes(die_of_the_deadly, photos, 1)
    results = next(batches)
    [worker] = living_workers()
    worker.kill()
    results += [result for batch in batches for result in batch]
    assert [result.photo for result in results] == photos


def test_a_process_does_not_run_the_program_of_its_parent_again(tmp_path: Path) -> None:
    """Multiprocessing imports the main module in each spawned process, and Luigi's takes as long as a few photos."""
    program = tmp_path / "program.py"
    program.write_text(
        "from tasks.decode.worker_process import WorkerProcess\n"
        "print('begins')\n"
        "process = WorkerProcess(len)\n"
        "print(*process.map(['abc']))\n"
        "process.close()\n"
    )
    assert run([sys.executable, str(program)]).output.split() == ["begins", "3"]
