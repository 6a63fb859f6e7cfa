"""Photos that the user may not read: a child process takes the snapshot and decodes, since root may read everything."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.decode.drawing import encode, smooth
from tests.support.processes import run

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


def test_a_photo_that_the_user_may_not_read_is_ignored_and_one_that_becomes_so_is_skipped(tmp_path: Path) -> None:
    roses = tmp_path / "photos" / "roses"
    roses.mkdir(parents=True)
    for name in ("good.jpg", "never.jpg", "later.jpg"):
        (roses / name).write_bytes(encode(smooth(40, 30), "JPEG") + os.fsencode(name))
    (roses / "never.jpg").chmod(0)
    command = [sys.executable, "-c", RUN, roses.parent, tmp_path / "data"]
    if os.geteuid() == 0:
        # Root may read everything, unless it gives that right up.
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            pytest.skip("root cannot give up its rights here")
        command = [setpriv, "--bounding-set=-dac_override,-dac_read_search", *command]
    done = run(command)
    assert done.code == 0, done.errors
    ignored, new, [[path, reason, message]] = json.loads(done.output)
    assert (ignored, new) == ({"unreadable": 1}, 1)
    assert (path, reason) == ("roses/later.jpg", "unreadable")
    assert message == "The file cannot be read (Permission denied). Mend that and run again."
