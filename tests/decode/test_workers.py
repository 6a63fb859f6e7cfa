"""Work in processes that may die."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import psutil
import pytest

from tasks.decode import workers
from tasks.decode.images import Picture
from tasks.decode.rejections import Reason, Rejection
from tasks.decode.settings import DecodeSettings
from tasks.decode.workers import BATCH, Photo, Tried, decode_files, in_processes
from tests.decode.drawing import encode, smooth

SETTINGS = DecodeSettings(size=16, resize=16)
DEADLY = "deadly"


def die_of_the_deadly(photos: Sequence[Photo]) -> list[Tried]:
    """Stand in for a codec that crashes: the process dies as it does of a segmentation fault."""
    if any(photo.path == DEADLY for photo in photos):
        os.kill(os.getpid(), signal.SIGKILL)
    return [Tried(photo, Rejection(Reason.EMPTY, str(os.getpid()))) for photo in photos]


def linger(photos: Sequence[Photo]) -> list[Tried]:
    time.sleep(0.05)
    return die_of_the_deadly(photos)


def die_at_once(photos: Sequence[Photo]) -> list[Tried]:
    os.kill(os.getpid(), signal.SIGKILL)
    return die_of_the_deadly(photos)


def fail(photos: Sequence[Photo]) -> list[Tried]:
    raise ZeroDivisionError(f"a bug met {len(photos)} photos")


def numbered(count: int) -> list[Photo]:
    return [Photo(f"{number:064x}", f"{number}.jpg") for number in range(count)]


def living_workers() -> set[psutil.Process]:
    """Our children's children: the server that forks the workers is itself a child, and stays."""
    return set(psutil.Process().children(recursive=True)) - set(psutil.Process().children())


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


def test_photos_that_kill_their_process_are_rejected_and_all_others_are_not() -> None:
    photos = numbered(4 * BATCH)
    deadly = (5, 2 * BATCH)
    for place in deadly:
        photos[place] = Photo(photos[place].sha256, DEADLY)
    outcomes = [outcome for batch in in_processes(die_of_the_deadly, photos, 2) for outcome in batch]
    assert [outcome.photo for outcome in outcomes] == photos
    results = [outcome.result for outcome in outcomes]
    crashed = [
        place
        for place, result in enumerate(results)
        if isinstance(result, Rejection) and result.reason == Reason.CRASHED
    ]
    assert crashed == list(deadly)


def test_no_photo_is_blamed_where_no_process_lives() -> None:
    with pytest.raises(BrokenProcessPool):
        list(in_processes(die_at_once, numbered(3), 1))


def test_an_exception_of_the_work_is_passed_on_and_ends_the_processes() -> None:
    with pytest.raises(ZeroDivisionError, match="16 photos"):
        list(in_processes(fail, numbered(8 * BATCH), 2))
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
