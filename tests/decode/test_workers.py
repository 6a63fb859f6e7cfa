"""Work in processes that may die."""

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
import pytest
from PIL import Image

from tasks.decode import worker_process, workers
from tasks.decode.images import Picture
from tasks.decode.rejections import Reason, Rejection
from tasks.decode.workers import BATCH, DecodeResult, Photo, Work, decode_files, in_processes
from tasks.errors import MachineError
from tests.decode.deadly import (
    DEADLY,
    SETTINGS,
    Stillborn,
    decode_in_a_hurry,
    decode_with_little_memory,
    die_of_the_deadly,
    die_once,
    fail,
    linger,
    spin,
    stop,
)
from tests.decode.drawing import encode, png, smooth
from tests.support.processes import descendants


def numbered(count: int) -> list[Photo]:
    return [Photo(f"{number:064x}", f"{number}.jpg") for number in range(count)]


def living_workers() -> set[psutil.Process]:
    """Our children, but for the one that multiprocessing keeps for itself, which stays."""
    found = set()
    for child in descendants(os.getpid()):
        with suppress(psutil.NoSuchProcess):
            if any("spawn_main" in word for word in child.cmdline()):
                found.add(child)
    return found


def write(folder: Path, name: str, data: bytes) -> Photo:
    (folder / name).write_bytes(data)
    return Photo(hashlib.sha256(data).hexdigest(), name)


def result_of(folder: Path, photo: Photo) -> Picture | Rejection:
    [outcome] = decode_files([photo], folder=folder, settings=SETTINGS)
    assert outcome.photo == photo
    return outcome.result


def reason_of(folder: Path, photo: Photo) -> Reason:
    result = result_of(folder, photo)
    assert isinstance(result, Rejection)
    return result.reason


def test_every_photo_comes_back_once_and_in_order_from_several_processes() -> None:
    photos = numbered(10 * BATCH + 3)
    outcomes = [outcome for batch in in_processes(linger, photos, 2) for outcome in batch]
    assert [outcome.photo for outcome in outcomes] == photos
    processes = {outcome.result.message for outcome in outcomes if isinstance(outcome.result, Rejection)}
    assert len(processes) == 2
    assert str(os.getpid()) not in processes


def results_of(work: Work, photos: Sequence[Photo], workers: int = 2) -> list[Rejection]:
    """What became of photos, in their order; the work makes no pictures."""
    outcomes = [outcome for batch in in_processes(work, photos, workers) for outcome in batch]
    assert [outcome.photo for outcome in outcomes] == list(photos)
    return [outcome.result for outcome in outcomes if isinstance(outcome.result, Rejection)]


def test_photos_that_kill_their_process_are_rejected_and_all_others_are_not() -> None:
    photos = numbered(4 * BATCH)
    deadly = (5, 2 * BATCH)
    for place in deadly:
        photos[place] = Photo(photos[place].sha256, f"{DEADLY}{signal.SIGSEGV.value}")
    crashed = [
        place for place, result in enumerate(results_of(die_of_the_deadly, photos)) if result.reason == Reason.CRASHED
    ]
    assert crashed == list(deadly)


@pytest.mark.parametrize(
    ("number", "reason", "lasting"),
    [
        (signal.SIGSEGV, Reason.CRASHED, True),
        (signal.SIGABRT, Reason.CRASHED, True),
        (signal.SIGBUS, Reason.CRASHED, True),
        (signal.SIGVTALRM, Reason.TIMED_OUT, True),
        (signal.SIGKILL, Reason.KILLED, False),
        (signal.SIGTERM, Reason.KILLED, False),
    ],
)
def test_what_a_process_died_of_is_the_reason(number: signal.Signals, reason: Reason, lasting: bool) -> None:
    photos = [*numbered(1), Photo("f" * 64, f"{DEADLY}{number.value}"), *numbered(1)]
    results = results_of(die_of_the_deadly, photos)
    assert [result.reason for result in results] == [Reason.EMPTY, reason, Reason.EMPTY]
    assert results[1].reason.lasting == lasting


def test_a_photo_that_was_only_there_when_a_process_was_killed_is_decoded_all_the_same(tmp_path: Path) -> None:
    results = results_of(partial(die_once, folder=tmp_path), numbered(5), 1)
    assert {result.reason for result in results} == {Reason.EMPTY}


def test_a_process_that_hangs_is_killed_and_its_photo_tried_again_in_the_next_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # More than the other two take on a busy machine.
    monkeypatch.setattr(worker_process, "PATIENCE", 5.0)
    results = results_of(stop, numbered(3))
    assert [result.reason for result in results] == [Reason.EMPTY, Reason.KILLED, Reason.EMPTY]
    assert not living_workers()


def test_a_codec_that_never_comes_back_is_ended_after_twice_the_time() -> None:
    results = results_of(partial(spin, seconds=0.2), numbered(3))
    assert [result.reason for result in results] == [Reason.EMPTY, Reason.TIMED_OUT, Reason.EMPTY]


def endless() -> bytes:
    """Draw a progressive JPEG of 80 KB that takes seconds: each of its scans is 31 bytes and goes over all pixels."""
    data = encode(Image.new("L", (4000, 4000)), "JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + 500 * scan + data[-2:]


def enormous() -> bytes:
    """Draw a PNG of which every pixel takes a byte of memory, though it takes a bit of the file or less."""
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
def test_a_photo_beyond_its_bounds_is_rejected_and_the_next_one_is_decoded(
    tmp_path: Path, draw: Callable[[], bytes], work: Callable[..., list[DecodeResult]], reason: Reason
) -> None:
    photos = [write(tmp_path, "bomb", draw()), write(tmp_path, "good", encode(smooth(40, 30), "PNG"))]
    [[bomb, good]] = in_processes(partial(work, folder=tmp_path), photos, 1)
    assert isinstance(bomb.result, Rejection)
    assert bomb.result.reason == reason
    assert isinstance(good.result, Picture)


def test_no_photo_is_blamed_where_no_process_lives() -> None:
    with pytest.raises(MachineError, match="signal 9"):
        list(in_processes(Stillborn(), numbered(3), 1))
    assert not living_workers()


def test_no_photos_need_no_process() -> None:
    assert list(in_processes(Stillborn(), [], 2)) == []


def test_an_exception_of_the_work_is_passed_on_with_its_place_and_ends_the_processes() -> None:
    with pytest.raises(ZeroDivisionError, match="a bug met 1 photos") as caught:
        list(in_processes(fail, numbered(8 * BATCH), 2))
    assert "in fail" in caught.value.__notes__[0]
    assert not living_workers()


def test_leaving_early_ends_the_processes() -> None:
    batches = in_processes(die_of_the_deadly, numbered(100 * BATCH), 2)
    next(batches)
    assert living_workers()
    batches.close()
    assert not living_workers()


def test_processes_start_without_what_only_their_parent_needs() -> None:
    code = (
        "import sys; import tasks.decode.workers; print([name for name in ('luigi', 'pyarrow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_a_photo_is_read_and_decoded(tmp_path: Path) -> None:
    photo = write(tmp_path, "a.jpg", encode(smooth(40, 30), "WEBP"))
    result = result_of(tmp_path, photo)
    assert isinstance(result, Picture)
    assert (result.format, result.width, result.height) == ("WEBP", 40, 30), "by content, not by name"


def test_what_is_no_photo_is_rejected_for_good(tmp_path: Path) -> None:
    reason = reason_of(tmp_path, write(tmp_path, "a.jpg", b"text"))
    assert reason == Reason.UNKNOWN_FORMAT
    assert reason.lasting


def test_a_file_that_is_gone_changed_or_unreadable_is_rejected_for_now(tmp_path: Path) -> None:
    changed = write(tmp_path, "changed.jpg", b"before")
    write(tmp_path, "changed.jpg", encode(smooth(40, 30), "JPEG"))
    (tmp_path / "folder.jpg").mkdir()
    reasons = [
        reason_of(tmp_path, photo)
        for photo in (
            changed,
            Photo("0" * 64, "gone.jpg"),
            Photo("0" * 64, "changed.jpg/x"),
            Photo("0" * 64, "folder.jpg"),
        )
    ]
    assert reasons == [Reason.CHANGED, Reason.VANISHED, Reason.VANISHED, Reason.UNREADABLE]
    assert not any(reason.lasting for reason in reasons)


def test_a_file_of_too_many_bytes_is_rejected_without_reading_it_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encode(smooth(40, 30), "JPEG")
    monkeypatch.setattr(workers, "MAX_BYTES", len(data) - 1)
    assert reason_of(tmp_path, write(tmp_path, "a.jpg", data)) == Reason.TOO_LARGE
    assert reason_of(tmp_path, Photo("0" * 64, "a.jpg")) == Reason.CHANGED
