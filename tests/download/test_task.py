"""The download task: where it keeps what a URL gives, and what it does where a source is away."""

import datetime as dt
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.catalog import find_dataset
from tasks.download.task import archive_name, archive_state
from tasks.errors import DatasetError, DownloadError, PipelineError
from tasks.keys import KEY_LENGTH
from tests.download.archive_files import download_of, files_below, take_snapshot, tar
from tests.support.servers.file_server import Fault, FileServer, serving

FIRST, SECOND, THIRD = (dt.date(2026, 3, day) for day in (1, 2, 3))


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An archive of six photos under two labels; photos need no pictures in them here."""
    path = tmp_path / "mine.tar.gz"
    path.write_bytes(
        tar([(f"{'roses' if n < 3 else 'tulips'}/{n}.jpg", f"photo {n}".encode()) for n in range(6)], "w:gz")
    )
    return path


@pytest.fixture
def server(archive: Path) -> Iterator[FileServer]:
    """A server that has the archive."""
    with serving(FileServer(archive.read_bytes(), etag='"one"')) as files:
        yield files


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_a_missing_archive_fails_the_run_unless_the_last_photos_may_be_used(archive: Path, root: Path) -> None:
    first = take_snapshot(root, str(archive), FIRST).manifest()
    archive.unlink()
    with pytest.raises(DatasetError, match=r"mine.tar.gz could not be reached \(No such file or directory\)"):
        take_snapshot(root, str(archive), SECOND)
    task = take_snapshot(root, str(archive), SECOND, "use-last")
    assert task.manifest().key == first.key
    assert task.manifest().details["unreached"]["photos_of"] == "2026-03-01"
    assert task.photos().is_dir()
    # The extracted photos need not be there either.
    shutil.rmtree(root / "download")
    assert take_snapshot(root, str(archive), THIRD, "use-last").manifest().key == first.key


def test_an_archive_that_is_back_is_looked_at_again(archive: Path, root: Path) -> None:
    take_snapshot(root, str(archive), FIRST)
    away = archive.rename(archive.with_name("away"))
    take_snapshot(root, str(archive), SECOND, "use-last")
    away.rename(archive)
    task = take_snapshot(root, str(archive), THIRD)
    for manifest in (task.manifest(), download_of(task).manifest()):
        assert (manifest.photos, manifest.details["unreached"]) == (6, None)


def test_an_unreachable_server_fails_the_run_unless_the_last_photos_may_be_used(server: FileServer, root: Path) -> None:
    first = take_snapshot(root, server.url, FIRST).manifest()
    server.faults = [Fault(status=404), Fault(status=404)]
    with pytest.raises(DownloadError, match=r"could not be reached .*404.*--on-missing-source use-last"):
        take_snapshot(root, server.url, SECOND)
    second = take_snapshot(root, server.url, SECOND, "use-last").manifest()
    assert (second.key, second.details["unreached"]["source"]) == (first.key, f"URL {server.url}")
    # The next start of the program asks again.
    assert take_snapshot(root, server.url, SECOND).manifest().details["unreached"] is None


def test_an_unreachable_server_without_earlier_photos_fails_the_run(server: FileServer, root: Path) -> None:
    server.faults = [Fault(status=404)]
    with pytest.raises(DownloadError, match="could not be fetched"):
        take_snapshot(root, server.url, FIRST, "use-last")


def test_a_file_that_is_no_archive_does_not_count_as_an_unreachable_server(server: FileServer, root: Path) -> None:
    take_snapshot(root, server.url, FIRST)
    server.change(b"no archive", '"two"')
    with pytest.raises(PipelineError, match="no tar"):
        take_snapshot(root, server.url, SECOND, "use-last")


def test_passwords_and_tokens_of_a_url_are_kept_nowhere(server: FileServer, root: Path) -> None:
    url = server.url.replace("http://", "http://me:hunter2@") + "?token=s3cret"
    take_snapshot(root, url, FIRST)
    server.faults = [Fault(status=404), Fault(status=404)]
    take_snapshot(root, url, SECOND, "use-last")
    with pytest.raises(DownloadError) as caught:
        take_snapshot(root, url, THIRD)
    kept = [*files_below(root).values(), str(caught.value).encode()]
    assert len(kept) > 6
    assert [data for data in kept if b"hunter2" in data or b"s3cret" in data] == []


@pytest.mark.parametrize("name", ["photos.tgz", "flower_photos.tgz", "Mine-2026.ZIP", "a", "manifest.json.tgz"])
def test_a_file_keeps_the_name_in_its_url(name: str) -> None:
    assert archive_name(f"https://host/path/{name}?token=1#part") == name


#: Names of ours, and of no file.
UNSAFE = [
    *("", ".", "..", "%2e%2e", "manifest.json", "MANIFEST.JSON", "2026-11-24.json", "photos.tgz.part"),
    *("photos.tgz.sha256", "photos.tgz.part.json", ".tmp-photos", "0123456789abcdef", "x" * 300, "grüße.tgz", "a%00b"),
]


@pytest.mark.parametrize("name", UNSAFE)
def test_a_reserved_or_invalid_file_name_of_a_url_is_replaced(name: str) -> None:
    assert archive_name(f"https://host/path/{name}") == "archive"


@given(st.text(max_size=120))
def test_no_name_leads_elsewhere_or_is_one_of_ours(text: str) -> None:
    try:
        name = archive_name(f"https://host/{text}")
    except ValueError:  # no URL at all; such a dataset is refused
        return
    assert name == Path(name).name
    assert 0 < len(name) <= 100
    assert not name.lower().endswith((".json", ".part", ".sha256"))
    assert name[0] != "."
    assert len(name) != KEY_LENGTH or set(name.lower()) - set("0123456789abcdef")


@pytest.mark.parametrize("replace", [True, False])
def test_an_archive_of_the_same_size_and_mtime_is_another_archive(archive: Path, replace: bool) -> None:
    dataset, status = find_dataset(str(archive), 0), archive.stat()
    before = archive_state(dataset)
    assert archive_state(dataset) == before
    written = archive.with_name("other") if replace else archive
    written.write_bytes(bytes(status.st_size))
    written.rename(archive)
    os.utime(archive, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert archive_state(dataset) != before


@pytest.mark.parametrize("year", [1902, 2400])
def test_an_archive_may_be_of_any_date(archive: Path, root: Path, year: int) -> None:
    os.utime(archive, ns=((year - 1970) * 31_556_952_000_000_000,) * 2)
    assert take_snapshot(root, str(archive), FIRST).manifest().photos == 6
