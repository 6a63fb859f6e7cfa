"""The download task: where it keeps what a URL gives, and what it does where a source is away."""

import datetime as dt
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.catalog import Dataset, find_dataset
from tasks.download.task import archive_name, archive_state
from tasks.errors import DatasetError, DownloadError, PipelineError
from tasks.keys import KEY_LENGTH
from tasks.shards.manifests import Manifest
from tasks.snapshot.task import TakeSnapshot
from tasks.storage.files import local
from tests.download.server import FileServer, Mood, serving

FIRST, SECOND, THIRD = (dt.date(2026, 3, day) for day in (1, 2, 3))


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An archive of six photos under two labels; photos need no pictures in them here."""
    for label in ("roses", "tulips"):
        for number in range(3):
            photo = tmp_path / "photos" / label / f"{number}.jpg"
            photo.parent.mkdir(parents=True, exist_ok=True)
            photo.write_text(f"{label} {number}")
    return Path(shutil.make_archive(str(tmp_path / "mine"), "gztar", tmp_path / "photos"))


def take(root: Path, given: str, date: dt.date, on_missing_source: str = "fail") -> TakeSnapshot:
    """Fetch and take a snapshot, as a start of the program of its own."""
    task = TakeSnapshot(
        data_root=str(root),
        run_id=f"{date}-{on_missing_source}",
        dataset=find_dataset(given, 0) if Path(given).exists() or "://" in given else _gone(Path(given)),
        date=date,
        on_missing_source=on_missing_source,
    )
    download = task.requires()
    assert download is not None
    if not download.complete():
        download.run()
        assert download.complete()
    task.run()
    return task


def _gone(archive: Path) -> Dataset:
    """The dataset of an archive that was there."""
    archive.touch()
    dataset = find_dataset(str(archive), 0)
    archive.unlink()
    return dataset


def fetched(task: TakeSnapshot) -> Manifest:
    download = task.requires()
    assert download is not None
    return download.manifest()


def test_an_archive_that_is_gone_fails_the_night_and_may_be_done_without(archive: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    first = take(root, str(archive), FIRST).manifest()
    archive.unlink()
    with pytest.raises(DatasetError, match=r"mine.tar.gz could not be reached \(No such file or directory\)"):
        take(root, str(archive), SECOND)
    task = take(root, str(archive), SECOND, "use-last")
    assert task.manifest().key == first.key
    assert task.manifest().details["unreached"]["photos_of"] == "2026-03-01"
    assert task.photos().is_dir()


def test_an_archive_that_is_back_is_looked_at_again(archive: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    take(root, str(archive), FIRST)
    shutil.move(archive, tmp_path / "away")
    take(root, str(archive), SECOND, "use-last")
    shutil.move(tmp_path / "away", archive)
    task = take(root, str(archive), THIRD)
    assert (fetched(task).details["unreached"], task.manifest().details["unreached"]) == (None, None)
    assert task.manifest().photos == 6


def test_what_was_extracted_need_not_be_there_either(archive: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    first = take(root, str(archive), FIRST)
    archive.unlink()
    shutil.rmtree(local(first.photos()))
    shutil.rmtree(root / "download")
    assert take(root, str(archive), SECOND, "use-last").manifest().key == first.manifest().key


def test_a_server_that_is_away_fails_the_night_and_may_be_done_without(archive: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    with serving(FileServer(archive.read_bytes(), etag='"one"')) as server:
        first = take(root, server.url, FIRST).manifest()
        server.moods = [Mood(status=404), Mood(status=404)]
        with pytest.raises(DownloadError, match=r"could not be reached .*404.*--on-missing-source use-last"):
            take(root, server.url, SECOND)
        second = take(root, server.url, SECOND, "use-last")
        assert second.manifest().key == first.key
        assert second.manifest().details["unreached"]["source"] == f"URL {server.url}"
        # The next start of the program asks again.
        again = take(root, server.url, SECOND)
        assert again.manifest().details["unreached"] is None


def test_a_server_that_is_away_on_the_first_night_fails_as_ever(tmp_path: Path) -> None:
    away = FileServer(b"", moods=[Mood(status=404)])
    with serving(away) as server, pytest.raises(DownloadError, match="could not be fetched"):
        take(tmp_path, server.url, FIRST, "use-last")


def test_a_file_that_is_no_archive_is_not_a_server_that_is_away(archive: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    with serving(FileServer(archive.read_bytes(), etag='"one"')) as server:
        take(root, server.url, FIRST)
        server.content, server.etag = b"no archive", '"two"'
        with pytest.raises(PipelineError, match="no tar"):
            take(root, server.url, SECOND, "use-last")


def test_passwords_and_tokens_of_a_url_are_kept_nowhere(archive: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    with serving(FileServer(archive.read_bytes(), etag='"one"')) as server:
        url = server.url.replace("http://", "http://me:hunter2@") + "?token=s3cret"
        take(root, url, FIRST)
        server.moods = [Mood(status=404), Mood(status=404)]
        take(root, url, SECOND, "use-last")
        with pytest.raises(DownloadError) as caught:
            take(root, url, THIRD)
    assert "hunter2" not in str(caught.value)
    assert "s3cret" not in str(caught.value)
    kept = [path for path in root.rglob("*") if path.is_file()]
    assert len(kept) > 5
    assert [path for path in kept if b"hunter2" in path.read_bytes() or b"s3cret" in path.read_bytes()] == []


@pytest.mark.parametrize("name", ["photos.tgz", "flower_photos.tgz", "Mine-2026.ZIP", "a", "manifest.json.tgz"])
def test_a_file_is_called_as_in_its_url(name: str) -> None:
    assert archive_name(f"https://host/path/{name}?token=1#part") == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "%2e%2e",
        "manifest.json",
        "MANIFEST.JSON",
        "2026-11-24.json",
        "photos.tgz.part",
        "photos.tgz.sha256",
        "photos.tgz.part.json",
        ".tmp-photos",
        "0123456789abcdef",
        "x" * 300,
        "grüße.tgz",
        "a%00b",
    ],
)
def test_a_name_that_could_be_one_of_ours_or_no_file_s_is_not_taken_over(name: str) -> None:
    assert archive_name(f"https://host/path/{name}") == "archive"


@given(st.text(max_size=300))
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
def test_an_archive_may_be_of_any_date(archive: Path, tmp_path: Path, year: int) -> None:
    os.utime(archive, ns=((year - 1970) * 31_556_952_000_000_000,) * 2)
    assert take(tmp_path / "data", str(archive), FIRST).manifest().photos == 6
