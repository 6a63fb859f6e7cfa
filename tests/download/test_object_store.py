"""A data root on an object store: archives stay on this machine's disk, photos are where every machine reads them."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.catalog import find_dataset
from tasks.download.retry_policy import RetryPolicy
from tasks.errors import DownloadError
from tasks.paths import AnyPath
from tasks.run_context import RunContext
from tasks.snapshot.task import TakeSnapshot
from tasks.storage.files import is_there, listed, storage_at
from tests.download.archive_files import download_of, take_snapshot, zipped
from tests.support.progress import Tally
from tests.support.servers.file_server import Fault, FileServer, serving
from tests.support.servers.object_store import other_machine

pytestmark = pytest.mark.usefixtures("own_machine")

FIRST, SECOND, THIRD = (dt.date(2026, 3, day) for day in (1, 2, 3))


#: Six photos under two labels, wrapped in a folder with a licence.
FILES = [(f"mine/{('roses', 'tulips')[n % 2]}/{n} é+#.jpg", f"photo {n}".encode() * 1000) for n in range(6)]
FILES.append(("mine/LICENSE.txt", b"free"))


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving(FileServer(zipped(FILES), etag='"one"')) as files:
        yield files


def test_photos_are_drawn_for_all_machines(far_root: AnyPath, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = take_snapshot(far_root, "sample", FIRST)
    assert str(first.photos()).startswith(f"{far_root}/download/sample-15/")
    assert first.manifest().photos == len([photo for label in listed(first.photos()) for photo in listed(label)]) == 15
    other_machine(monkeypatch, tmp_path / "other")
    assert download_of(first).complete()
    again = take_snapshot(far_root, "sample", SECOND).manifest()
    assert (again.key, again.new, again.reused) == (first.manifest().key, 0, 15)
    assert list((tmp_path / "other").rglob("*.tgz")) == []


def test_the_next_run_resumes_transfers(far_root: AnyPath, server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.download.fetch.fetch.__defaults__", (RetryPolicy(max_attempts=0, first_delay=0.0),))
    server.faults = [Fault(cut_after=300)]
    with pytest.raises(DownloadError):
        take_snapshot(far_root, server.url, FIRST)
    assert take_snapshot(far_root, server.url, FIRST).manifest().photos == 6
    assert server.requests[-1]["Range"] == "bytes=300-"


def test_a_changed_archive_is_fetched_again(
    far_root: AnyPath, server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = take_snapshot(far_root, server.url, FIRST)
    assert first.photos().name == "mine"
    for date in (SECOND, THIRD):
        other_machine(monkeypatch, tmp_path / f"{date}")
        again = take_snapshot(far_root, server.url, date)
        assert (again.manifest().key, again.photos()) == (first.manifest().key, first.photos())
        assert server.requests[-1]["If-None-Match"] == '"one"'
        assert list((tmp_path / f"{date}").rglob("*.zip")) == []
    assert len(server.requests) == 3
    server.change(zipped([*FILES, ("mine/roses/new.jpg", b"new")]), '"two"')
    assert take_snapshot(far_root, server.url, dt.date(2026, 3, 4)).manifest().photos == 7


def test_an_archive_that_is_unpacked_on_the_store_takes_no_room_here(far_root: AnyPath, server: FileServer) -> None:
    task = take_snapshot(far_root, server.url, FIRST)
    here = storage_at(far_root).staging_for(far_root / "download" / task.dataset.name)
    assert [path.name for path in here.iterdir()] == [f"{server.url.rpartition('/')[2]}.json"]


def test_progress_counts_uploaded_photos(far_root: AnyPath, server: FileServer) -> None:
    task = TakeSnapshot(context=RunContext(data_root=str(far_root)), dataset=find_dataset(server.url, 15), date=FIRST)
    progress = Tally()
    result = download_of(task).work(progress)
    assert (progress.total, progress.unit, progress.done) == (7, "files", 7)
    assert is_there(download_of(task).extracted(result.key))
