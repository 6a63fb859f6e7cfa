"""Reading photos without ever waiting for a file that is none."""

import hashlib
import os
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from tasks.snapshot.photo_io import open_photo, photo_sha256


@pytest.mark.parametrize("name", ["a.jpg", "link.jpg"])
def test_a_file_is_opened_through_links_too(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.jpg").write_bytes(b"bytes")
    (tmp_path / "link.jpg").symlink_to("a.jpg")
    with open_photo(tmp_path / name) as file:
        assert file.read() == b"bytes"
    assert photo_sha256(tmp_path / name) == hashlib.sha256(b"bytes").hexdigest()


def test_pipes_devices_sockets_and_folders_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "endless.jpg").symlink_to("/dev/zero")
    (tmp_path / "circle.jpg").symlink_to("circle.jpg")
    with socket.socket(socket.AF_UNIX) as server, pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)  # a socket's path may have about 100 characters only
        server.bind("socket.jpg")
    for name in ("pipe", "folder", "endless", "circle", "socket"):
        with pytest.raises(OSError, match=rf"{name}\.jpg"):
            photo_sha256(tmp_path / f"{name}.jpg")
    assert not any(map(is_open, tmp_path.iterdir())), "an opened file is closed again"
    with (tmp_path / "file").open("w"):
        assert is_open(tmp_path / "file")


def is_open(path: Path) -> bool:
    """Whether this process has a file open; other files may be opened and closed meanwhile."""
    if not path.exists():
        return False
    for descriptor in os.listdir("/dev/fd"):  # noqa: PTH208 (their numbers)
        # That of the listing itself is gone by now.
        with suppress(OSError):
            if os.path.samestat(os.fstat(int(descriptor)), path.stat()):
                return True
    return False
