"""Reading photos that nobody has hashed yet."""

import hashlib
import os
from pathlib import Path

from tasks.decode.images import Picture, decode_photo
from tasks.decode.photo_file import DecodeResult, Photo
from tasks.decode.rejections import Reason, Rejection
from tasks.decode.settings import DecodeSettings
from tasks.predict.hash_and_decode import hash_and_decode
from tests.predict.trained import draw

SETTINGS = DecodeSettings(16, 16)
SQUEEZED = DecodeSettings(8, 8, crop="stretch")


def read_one(folder: Path, name: str, sha256: str = "") -> DecodeResult:
    return hash_and_decode(Photo(sha256, name), folder=folder, settings=[SETTINGS])


def test_photo_gets_its_key_and_the_picture_of_the_decode_stage(tmp_path: Path) -> None:
    draw(tmp_path / "a.jpg", 1)
    data = (tmp_path / "a.jpg").read_bytes()
    key = hashlib.sha256(data).hexdigest()
    for known in ("", key):
        assert read_one(tmp_path, "a.jpg", known) == DecodeResult(Photo(key, "a.jpg"), decode_photo(data, SETTINGS))


def test_photo_gets_a_picture_by_each_way_to_decode_or_none(tmp_path: Path) -> None:
    draw(tmp_path / "a.jpg", 1)
    (tmp_path / "b.jpg").write_bytes(b"\xff\xd8\xff" + bytes(50))
    data = (tmp_path / "a.jpg").read_bytes()
    good, damaged = (
        hash_and_decode(Photo("", name), folder=tmp_path, settings=[SETTINGS, SQUEEZED]) for name in ("a.jpg", "b.jpg")
    )
    assert (good.result, good.others) == (decode_photo(data, SETTINGS), (decode_photo(data, SQUEEZED),))
    assert isinstance(damaged.result, Rejection)
    assert damaged.others == ()


def test_damaged_photo_keeps_its_key(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff" + bytes(50))
    photo, result, _ = read_one(tmp_path, "a.jpg")
    assert photo.sha256 == hashlib.sha256((tmp_path / "a.jpg").read_bytes()).hexdigest()
    assert not isinstance(result, Picture)
    assert result.reason == Reason.DAMAGED


def test_missing_photo_and_a_pipe_have_no_key(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    missing, pipe = read_one(tmp_path, "a.jpg"), read_one(tmp_path, "pipe.jpg")
    assert missing == DecodeResult(
        Photo("", "a.jpg"), Rejection(Reason.VANISHED, "There is no such file. Check its path.")
    )
    assert pipe.photo.sha256 == ""
    assert pipe.result == Rejection(
        Reason.UNREADABLE, "The file cannot be read (it is no regular file). Mend that and run again."
    )
