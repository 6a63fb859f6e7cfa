"""Names, links, pipes and rights that a folder of strangers' files can hold, from the folder to the pictures."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.decode.photos import DecodeCounts, DecodeStores, decode_photos, open_stores
from tasks.decode.rejections import Reason
from tasks.decode.settings import DecodeSettings
from tasks.progress import NullProgress
from tasks.snapshot.hashes import hash_files
from tasks.snapshot.photos import Snapshot, take_snapshot, usable
from tasks.snapshot.walk import list_files
from tasks.storage.layout import DataRoot
from tests.decode.drawing import encode, smooth

SETTINGS = DecodeSettings(size=16, resize=16)

RUN = """
import json, sys
from pathlib import Path
from tasks.storage.layout import DataRoot
from tasks.decode.photos import decode_photos, open_stores
from tasks.decode.settings import DecodeSettings
from tasks.progress import NullProgress
from tasks.snapshot.photos import take_snapshot, usable

folder, root = map(Path, sys.argv[1:])
snapshot = take_snapshot(folder, None, NullProgress())
(folder / "roses" / "later.jpg").chmod(0)
counts = decode_photos(
    usable(snapshot.table), folder, open_stores(DataRoot(root), DecodeSettings(size=16, resize=16)), NullProgress()
)
print(json.dumps([snapshot.ignored.counts, counts.new, counts.skipped]))
"""


def put(path: Path) -> None:
    """Write a photo that is no other's duplicate."""
    path.write_bytes(encode(smooth(40, 30), "JPEG") + os.fsencode(path.name))


def decode(folder: Path, snapshot: Snapshot, stores: DecodeStores) -> DecodeCounts:
    return decode_photos(usable(snapshot.table), folder, stores, NullProgress())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A dataset with one good photo."""
    folder = tmp_path / "photos"
    (folder / "roses").mkdir(parents=True)
    put(folder / "roses" / "good.jpg")
    return folder


@pytest.fixture
def stores(tmp_path: Path) -> DecodeStores:
    return open_stores(DataRoot(tmp_path / "data"), SETTINGS)


@pytest.mark.parametrize(
    "name",
    ["line\nfeed.jpg", "🌹.jpg", "ü" * 125 + ".jpeg", " .jpg", "-rf.jpg", "a\tb\\c'\"`$(d).jpg", "%00.jpg", "é.jpg"],
)
def test_a_photo_of_any_name_in_utf8_is_decoded(folder: Path, stores: DecodeStores, name: str) -> None:
    put(folder / "roses" / name)
    snapshot = take_snapshot(folder, None, NullProgress())
    assert set(snapshot.table["path"].to_pylist()) == {"roses/good.jpg", f"roses/{name}"}
    assert decode(folder, snapshot, stores) == DecodeCounts(2, 0, 0, 0, ())


def test_what_is_no_file_or_has_no_proper_name_is_counted_and_left_out(folder: Path, stores: DecodeStores) -> None:
    roses = folder / "roses"
    os.mkfifo(roses / "pipe.jpg")
    os.mkfifo(roses / "pipe without a suffix")
    (roses / "circle.jpg").symlink_to("circle.jpg")
    (roses / "there.jpg").symlink_to("back.jpg")
    (roses / "back.jpg").symlink_to("there.jpg")
    (roses / "broken.jpg").symlink_to("nowhere.jpg")
    (roses / "endless.jpg").symlink_to("/dev/zero")
    (roses / "up").symlink_to(folder)
    with socket.socket(socket.AF_UNIX) as server, pytest.MonkeyPatch.context() as patch:
        patch.chdir(roses)  # a socket's path may have about 100 characters only
        server.bind("socket.jpg")
    expected = {"linked folder": 1, "not a regular file": 8}
    try:
        put(roses / os.fsdecode(b"caf\xe9.jpg"))
        expected["name not UTF-8"] = 1
    except OSError:
        pass  # a file system that takes names in UTF-8 only
    snapshot = take_snapshot(folder, None, NullProgress())
    assert snapshot.ignored.counts == expected
    assert decode(folder, snapshot, stores) == DecodeCounts(1, 0, 0, 0, ())


def test_a_file_that_becomes_a_pipe_before_it_is_hashed_is_unreadable(folder: Path) -> None:
    files = list_files(folder).files
    (folder / "roses" / "good.jpg").unlink()
    os.mkfifo(folder / "roses" / "good.jpg")
    hashed = hash_files(folder, files, None, NullProgress())
    assert (hashed.table.num_rows, hashed.read, len(hashed.unreadable)) == (0, 0, 1)


@pytest.mark.parametrize("what", ["pipe", "folder", "circle", "device"])
def test_a_file_that_becomes_something_else_before_it_is_decoded_is_skipped_and_tried_again(
    folder: Path, stores: DecodeStores, what: str
) -> None:
    good = folder / "roses" / "good.jpg"
    data = good.read_bytes()
    snapshot = take_snapshot(folder, None, NullProgress())
    good.unlink()
    if what == "pipe":
        os.mkfifo(good)
    elif what == "folder":
        good.mkdir()
    else:
        good.symlink_to("good.jpg" if what == "circle" else "/dev/zero")
    counts = decode(folder, snapshot, stores)
    assert [(skip.path, skip.reason) for skip in counts.skipped] == [("roses/good.jpg", Reason.UNREADABLE)]
    if what == "folder":
        good.rmdir()
    else:
        good.unlink()
    good.write_bytes(data)
    assert decode(folder, snapshot, stores) == DecodeCounts(1, 0, 0, 0, ())


def test_a_photo_that_this_user_may_not_read_is_left_out_and_one_that_becomes_so_is_skipped(
    folder: Path, tmp_path: Path
) -> None:
    for name in ("never.jpg", "later.jpg"):
        put(folder / "roses" / name)
    (folder / "roses" / "never.jpg").chmod(0)
    command = [sys.executable, "-c", RUN, str(folder), str(tmp_path / "data")]
    if os.geteuid() == 0:
        # Root may read everything, unless it gives that right up.
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            pytest.skip("root cannot give up its rights here")
        command = [setpriv, "--bounding-set=-dac_override,-dac_read_search", *command]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    ignored, new, [[path, reason, message]] = json.loads(done.stdout)
    assert (ignored, new) == ({"unreadable": 1}, 1)
    assert (path, reason) == ("roses/later.jpg", "unreadable")
    assert message == "The file cannot be read (Permission denied). Mend that and run again."
