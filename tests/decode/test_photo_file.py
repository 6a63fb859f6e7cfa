"""Reading and decoding the file of one photo."""

import os
import sys
from pathlib import Path

import pytest

from tasks.decode import photo_file
from tasks.decode.images import Picture
from tasks.decode.photo_file import Photo, decode_file
from tasks.decode.rejections import Reason, Rejection
from tests.decode.deadly import SETTINGS
from tests.decode.drawing import encode, smooth, write_photo
from tests.support.processes import run

GONE = "0" * 64


def reason_of(folder: Path, photo: Photo) -> Reason:
    decoded = decode_file(photo, folder=folder, settings=SETTINGS)
    assert decoded.photo == photo
    assert isinstance(decoded.result, Rejection)
    return decoded.result.reason


def test_processes_start_without_what_only_their_parent_needs() -> None:
    code = (
        "import sys; import tasks.decode.worker_process, tasks.decode.photo_file; "
        "print([name for name in ('luigi', 'pyarrow') if name in sys.modules])"
    )
    assert run([sys.executable, "-c", code]).output == "[]\n"


def test_a_photo_is_read_and_decoded(tmp_path: Path) -> None:
    photo = write_photo(tmp_path, "a.jpg", encode(smooth(40, 30), "WEBP"))
    result = decode_file(photo, folder=tmp_path, settings=SETTINGS).result
    assert isinstance(result, Picture)
    assert (result.format, result.width, result.height) == ("WEBP", 40, 30), "by content, not by name"


def test_a_file_that_is_no_photo_is_rejected_for_good(tmp_path: Path) -> None:
    reason = reason_of(tmp_path, write_photo(tmp_path, "a.jpg", b"text"))
    assert reason == Reason.UNKNOWN_FORMAT
    assert reason.lasting


def test_a_file_that_is_gone_changed_or_unreadable_is_rejected_for_now(tmp_path: Path) -> None:
    changed = write_photo(tmp_path, "changed.jpg", b"before")
    write_photo(tmp_path, "changed.jpg", encode(smooth(40, 30), "JPEG"))
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "circle.jpg").symlink_to("circle.jpg")
    (tmp_path / "device.jpg").symlink_to("/dev/zero")
    others = [Photo(GONE, f"{name}.jpg") for name in ("gone", "changed.jpg/x", "folder", "pipe", "circle", "device")]
    reasons = [reason_of(tmp_path, photo) for photo in (changed, *others)]
    assert reasons == [Reason.CHANGED, Reason.VANISHED, Reason.VANISHED, *([Reason.UNREADABLE] * 4)]
    assert not any(reason.lasting for reason in reasons)


def test_a_file_of_too_many_bytes_is_rejected_without_reading_it_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encode(smooth(40, 30), "JPEG")
    monkeypatch.setattr(photo_file, "MAX_BYTES", len(data) - 1)
    assert reason_of(tmp_path, write_photo(tmp_path, "a.jpg", data)) == Reason.TOO_LARGE
    assert reason_of(tmp_path, Photo(GONE, "a.jpg")) == Reason.CHANGED
