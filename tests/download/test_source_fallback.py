"""Sources that cannot be reached, and other failures."""

import datetime as dt
import errno
import os

import pytest

from tasks.catalog import Dataset
from tasks.download.retry_policy import FetchError
from tasks.download.source_fallback import LastSnapshot, fall_back, unreachable_cause
from tasks.errors import DatasetError, DownloadError, PipelineError
from tasks.shards.manifests import Manifest, StageResult

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
        (failed(DownloadError, FetchError("tried once, last: 404")), "tried once, last: 404"),
        (failed(DatasetError, None), None),
        (failed(DownloadError, ValueError("no archive")), None),
        (failed(DownloadError, of_system(errno.EIO, "/data")), None),
    ],
)
def test_only_an_unreachable_source_has_a_cause(exc: PipelineError, why: str | None) -> None:
    assert unreachable_cause(FOLDER, exc) == why


@pytest.mark.parametrize(
    "cause",
    [FetchError("the proxy ALL_PROXY=foo://bar cannot be used", "Mend or unset ALL_PROXY"), FetchError("tried once")],
    ids=str,
)
def test_the_error_of_an_unreachable_url_has_the_remedy(cause: FetchError) -> None:
    url = Dataset("photos", "url", "https://me:hunter2@host/photos.tgz")
    result = StageResult(key="key", snapshot="key", settings={}, photos=3, new=0, reused=3)
    last = LastSnapshot(dt.date(2026, 3, 1), Manifest(stage="snapshot", run="run", seconds=1.0, **vars(result)))
    with pytest.raises(DownloadError, match=f"{cause.remedy} and run again, or go on with the photos of 2026-03-01"):
        fall_back(url, str(cause), last, "fail", failed(DownloadError, cause))
