"""What tells a source that cannot be reached from one that something else is wrong with."""

import errno
import os

import pytest

from tasks.catalog import Dataset
from tasks.download.answers import Unreachable
from tasks.download.reach import why_unreached
from tasks.errors import DatasetError, DownloadError, PipelineError

FOLDER = Dataset("photos", "folder", "/mnt/photos")


def failed(error: type[PipelineError], cause: Exception | None) -> PipelineError:
    """An error as it is raised from its cause."""
    raised = error("It went wrong.")
    raised.__cause__ = cause
    return raised


def of_system(number: int, path: str) -> OSError:
    return OSError(number, os.strerror(number), path)


@pytest.mark.parametrize(
    ("exc", "why"),
    [
        (failed(DatasetError, of_system(errno.ENOENT, "/mnt/photos/")), "No such file or directory"),
        (failed(DatasetError, of_system(errno.ESTALE, "/mnt/photos")), "Stale file handle"),
        (failed(DatasetError, of_system(errno.EACCES, "/mnt/photos/roses/")), "Permission denied: /mnt/photos/roses/"),
        (failed(DownloadError, Unreachable("tried once, last: 404")), "tried once, last: 404"),
        (failed(DatasetError, None), None),
        (failed(DownloadError, ValueError("no archive")), None),
        (failed(DownloadError, of_system(errno.EIO, "/data")), None),
    ],
)
def test_only_what_is_away_is_told_as_away(exc: PipelineError, why: str | None) -> None:
    assert why_unreached(FOLDER, exc) == why
