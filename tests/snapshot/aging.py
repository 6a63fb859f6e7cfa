"""Lets hashes of photos that a test has just written be recalled.

The mtime of a file can be set back, its ctime cannot, and waiting until both are old takes seconds.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from tasks.snapshot.hashes import RACY_NS

DAY_NS = 86_400_000_000_000


@contextmanager
def recalling_new_files() -> Iterator[None]:
    """Let this process recall hashes of files that changed up to a day after they were listed."""
    with mock.patch("tasks.snapshot.hashes.RACY_NS", -DAY_NS):
        yield


def wait_until_files_are_old() -> None:
    """Wait until other processes too may recall the hashes of all existing files."""
    time.sleep(RACY_NS / 1e9)
