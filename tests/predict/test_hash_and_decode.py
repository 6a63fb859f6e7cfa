"""Hashing and decoding photos whose keys are unknown."""

import hashlib
import os
from pathlib import Path

from tasks.decode.images import decode_photo
from tasks.decode.photo_file import DecodeResult, Photo
from tasks.decode.rejections import Reason, Rejection
from tasks.decode.settings import DecodeSettings
from tasks.predict.hash_and_decode import hash_and_decode
from tests.predict.trained import draw

SETTINGS = (DecodeSettings(16, 16), DecodeSettings(8, 8, crop="stretch"))


def read(folder: Path, name: str, sha256: str = "") -> DecodeResult:
    return hash_and_decode(Photo(sha256, name), folder=folder, settings=SETTINGS)


def test_photo_has_its_key_and_the_picture_of_each_way_to_decode(tmp_path: Path) -> None:
    draw(tmp_path / "a.jpg", 1)
    data = (tmp_path / "a.jpg").read_bytes()
    key = hashlib.sha256(data).hexdigest()
    first, second = (decode_photo(data, each) for each in SETTINGS)
    for known in ("", key):
        assert read(tmp_path, "a.jpg", known) == DecodeResult(Photo(key, "a.jpg"), first, (second,))


def test_damaged_photo_keeps_its_key_and_has_no_picture(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff" + bytes(50))
    photo, result, others = read(tmp_path, "a.jpg")
    assert photo.sha256 == hashlib.sha256((tmp_path / "a.jpg").read_bytes()).hexdigest()
    assert isinstance(result, Rejection)
    assert (result.reason, others) == (Reason.DAMAGED, ())


def test_missing_photo_and_a_pipe_have_no_key(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    for name, reason in (("a.jpg", Reason.VANISHED), ("pipe.jpg", Reason.UNREADABLE)):
        photo, result, _ = read(tmp_path, name)
        assert photo.sha256 == ""
        assert isinstance(result, Rejection)
        assert result.reason == reason
