"""Lets photos that a test has just written be recalled on the next night.

A file's mtime can be set back, its ctime cannot, and to wait until both are old takes seconds.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from tasks.snapshot.hashes import RACY_NS

DAY_NS = 86_400_000_000_000


@contextmanager
def recalling_new_files() -> Iterator[None]:
    """Let hashes be recalled, in this process, of files that changed up to a day after they were listed."""
    with mock.patch("tasks.snapshot.hashes.RACY_NS", -DAY_NS):
        yield


def wait_until_files_are_old() -> None:
    """Wait until the hashes of all files that are there may be recalled, by other processes too."""
    time.sleep(RACY_NS / 1e9)
