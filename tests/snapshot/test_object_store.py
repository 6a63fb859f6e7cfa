"""Photos on an object store: the rules of a local walk, one listing, and one request for each new photo."""

import datetime as dt
import hashlib
from pathlib import Path

import pytest

from tasks.catalog import find_dataset
from tasks.errors import DatasetError
from tasks.paths import AnyPath, to_path
from tasks.progress import NullProgress
from tasks.snapshot.hashes import hash_files
from tasks.snapshot.ignored import IgnoredSummary
from tasks.snapshot.listing import PhotoFile
from tasks.snapshot.photo_io import photo_sha256, read_photo
from tasks.snapshot.photos import take_snapshot
from tasks.snapshot.task import source_state
from tasks.snapshot.walk import list_files, list_unread
from tasks.storage.remote_listing import StoreUnreachableError
from tests.download.archive_files import take_snapshot as run_snapshot
from tests.snapshot.photo_files import put
from tests.support.progress import Tally
from tests.support.servers.gateway import Gateway, Outcome
from tests.support.servers.object_store import ObjectStore, forget_stores

JPEG = b"\xff\xd8\xff\xe0 and so on"
ODD = ["très grand/ü.jpg", "a b/c d.jpg", "a+b/1+1=2.jpg", "c#/#1.jpg", "100%/50%25.jpg", "w?/what?.jpg", "[x]/*.jpg"]
FIRST, SECOND = dt.date(2026, 3, 1), dt.date(2026, 3, 2)


def some(count: int = 6) -> dict[str, bytes]:
    """Photos of two labels."""
    return {f"{('roses', 'tulips')[number % 2]}/{number}.jpg": f"photo {number}".encode() for number in range(count)}


@pytest.fixture
def folder(remote_folder: AnyPath) -> AnyPath:
    """A folder of a store with some photos."""
    return put(remote_folder, some())


def test_a_file_on_a_store_is_a_photo_by_the_rules_of_the_disk(remote_folder: AnyPath, tmp_path: Path) -> None:
    files = {"roses/a.jpg": b"1", "roses/deep/er/b.PNG": b"12", "roses/empty.jpg": b"", "beside.jpg": b"1"}
    files |= {"tulips/photo": JPEG, "tulips/no photo": b"no photo", "tulips/nothing": b"", "tulips/raw.nef": b"II*\0"}
    files |= {"notes/readme.md": b"text", "LICENSE.txt": b"text", "LICENSE": b"text", "roses/Thumbs.db": b"x"}
    files |= dict.fromkeys(("roses/.hidden.jpg", "roses/.cache/a.jpg", "roses/.cache/b.jpg"), b"1")
    files |= dict.fromkeys(("__MACOSX/roses/a.jpg", "#recycle/roses/a.jpg"), b"1")
    files |= {f"roses/@eaDir/a.jpg/SYNOFILE_THUMB_{size}.jpg": b"1" for size in ("M", "XL")}
    files |= {"raw/1.CR2": b"II*\0", "raw/2.jxl": b"\xff\x0a", "raw/3.mov": b"x", "raw/odd": b"\xff\x0a"}
    files |= {"gtsrb/00000.ppm": b"P6\n1 1\n", "gtsrb/plain": b"P6\n1 1\n255\n..."}
    local = put(tmp_path / "photos", files)
    put(remote_folder, files)
    for labelled in (True, False):
        here, there = (list_files(root, labelled=labelled) for root in (local, remote_folder))
        assert [(file.path, file.size) for file in there.files] == [(file.path, file.size) for file in here.files]
        assert there.summarise_ignored() == here.summarise_ignored()
    assert list_files(local).summarise_ignored().folders == {
        "notes": {"not a photo": 1},
        "raw": {"raw photo": 1, "unsupported image format": 2, "video": 1},
    }


def test_a_name_on_a_store_is_taken_letter_by_letter(remote_folder: AnyPath) -> None:
    put(remote_folder, {path: path.encode() for path in ODD})
    table = take_snapshot(remote_folder, None, NullProgress()).table
    hashes = {path: hashlib.sha256(path.encode()).hexdigest() for path in ODD}
    assert dict(zip(table["path"].to_pylist(), table["sha256"].to_pylist(), strict=True)) == hashes
    assert {path: read_photo(remote_folder / path, 100).decode() for path in ODD} == {path: path for path in ODD}
    assert set(table["label"].to_pylist()) == {path.partition("/")[0] for path in ODD}


def test_objects_that_only_show_a_folder_are_no_files(remote_folder: AnyPath) -> None:
    put(remote_folder, {"roses/a.jpg": b"1", "roses/": b"", "": b"", "empty/": b"", "empty/below/": b""})
    listing = list_files(remote_folder)
    assert [file.path for file in listing.files] == ["roses/a.jpg"]
    assert listing.summarise_ignored() == IgnoredSummary()


def test_a_bucket_is_a_folder_too(folder: AnyPath) -> None:
    files = list_unread(to_path(f"s3://{str(folder).split('/')[2]}")).files
    above = f"{folder.parent.name}/{folder.name}/"
    assert [file.path for file in files if file.path.startswith(above)] == [above + path for path in sorted(some())]


def test_the_first_run_requests_each_photo_once_and_a_run_without_news_only_lists(
    remote_folder: AnyPath, gateway: Gateway
) -> None:
    beside = {path.replace(".jpg", suffix): b"{}" for path in some(40) for suffix in (".json", ".txt")}
    put(to_path(str(remote_folder)), {**some(40), **beside, "roses/photo": JPEG})
    progress = Tally()
    with gateway.counting() as cold:
        snapshot = take_snapshot(to_path(str(remote_folder)), None, progress)
    # The one without a suffix is read twice: its first bytes tell its kind. The files beside the photos are not read.
    assert cold == {"LIST": 1, "GET": 42}
    assert snapshot.ignored.counts == {"not a photo": 80}
    assert (snapshot.hashed, progress.total, progress.done) == (41, 41, 41)
    with gateway.counting() as warm:
        again = take_snapshot(to_path(str(remote_folder)), snapshot.hashes, NullProgress())
        state = source_state(find_dataset(str(remote_folder), 0))
    assert warm == {"LIST": 2}
    assert (again.key, again.hashed, state) == (snapshot.key, 0, snapshot.state)


def test_an_object_written_anew_within_the_same_second_is_read_again(
    folder: AnyPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.storage.remote_listing._WRITTEN", ())  # its time tells nothing
    before = take_snapshot(folder, None, NullProgress())
    put(folder, {"roses/0.jpg": b"PHOTO 0"})
    after = take_snapshot(folder, before.hashes, NullProgress())
    assert after.hashed == 1
    assert (after.state, after.key) != (before.state, before.key)


def test_objects_of_unclear_kind_are_part_of_the_state_without_being_read(folder: AnyPath) -> None:
    put(folder, {"roses/thing": b"no photo"})
    read = list_files(folder)
    assert read.ignored.counts == {"not a photo": 1}
    assert list_unread(folder).state() == read.state()
    put(folder, {"roses/thing": JPEG})
    assert list_files(folder).state() != read.state()


def test_an_object_that_is_gone_by_the_time_it_is_read_has_no_row(folder: AnyPath) -> None:
    files = list_files(folder).files
    (folder / "roses/0.jpg").unlink()
    hashed = hash_files(folder, files, None, NullProgress())
    assert (hashed.read, hashed.unreadable, hashed.table.num_rows) == (5, (), 5)
    with pytest.raises(FileNotFoundError):
        read_photo(folder / "roses/0.jpg", 100)


@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 20, 25])
def test_a_large_object_is_hashed_piece_by_piece(
    remote_folder: AnyPath, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr("tasks.snapshot.photo_io.PIECE", 10)
    put(remote_folder, {"a.jpg": bytes(range(size))})
    assert photo_sha256(remote_folder / "a.jpg") == hashlib.sha256(bytes(range(size))).hexdigest()


@pytest.mark.parametrize("remote", [True, False])
def test_of_a_photo_that_is_too_large_one_byte_too_many_is_read(
    remote_folder: AnyPath, tmp_path: Path, remote: bool
) -> None:
    folder = put(remote_folder if remote else tmp_path, {"a.jpg": b"12345", "empty.jpg": b""})
    assert [read_photo(folder / "a.jpg", most) for most in (3, 4, 5, 6)] == [b"1234", b"12345", b"12345", b"12345"]
    assert read_photo(folder / "empty.jpg", 3) == b""


def test_a_broken_read_is_tried_again(folder: AnyPath, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.storage.remote_listing._RETRY_DELAYS", (0.01, 0.01))
    again = to_path(str(folder))
    gateway.spoil("GET", Outcome.CUT_OFF, 2)
    assert take_snapshot(again, None, NullProgress()).photos == 6
    gateway.decide(lambda request: Outcome.CUT_OFF if request.key.endswith("0.jpg") else Outcome.PASSED)
    with pytest.raises(DatasetError, match=r"The photos at s3://.*/roses/0\.jpg cannot be read"):
        take_snapshot(again, None, NullProgress())


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("nowhere", r"There is no folder of photos at {}/nowhere \(nothing is there\)\. Give"),
        ("roses/0.jpg", r"no folder of photos at .*/photos/roses/0\.jpg \(it is a file\)"),
        ("s3://nowhere-at-all/photos", r"photos at s3://nowhere-at-all/photos cannot be read \(.*bucket.*\)\. Check"),
    ],
)
def test_a_folder_that_is_missing_is_an_error_that_names_it(folder: AnyPath, path: str, error: str) -> None:
    with pytest.raises(DatasetError, match=error.format(folder)):
        list_files(to_path(path) if path.startswith("s3") else folder / path)


def test_refused_credentials_are_an_error_that_does_not_show_the_secret(
    folder: AnyPath, impatient: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    forget_stores()
    other = to_path(str(folder))
    with pytest.raises(DatasetError, match=rf"The photos at {folder} cannot be read \(") as listing:
        list_files(other)
    with pytest.raises(StoreUnreachableError, match=rf"{folder}/roses/0\.jpg cannot be read"):
        read_photo(other / "roses/0.jpg", 100)
    assert impatient.secret not in str(listing.value)


@pytest.fixture
def unreachable(folder: AnyPath, impatient: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> AnyPath:
    """The folder on a store that does not answer."""
    assert impatient
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    forget_stores()
    return to_path(str(folder))


def test_photos_of_an_unreachable_store_are_not_taken_for_gone(unreachable: AnyPath) -> None:
    with pytest.raises(DatasetError, match=rf"The photos at {unreachable} cannot be read \("):
        list_files(unreachable)
    files = [PhotoFile(f"roses/{number}.jpg", 7, "1") for number in (0, 2)]
    with pytest.raises(DatasetError, match=r"The photos at .*/roses/0\.jpg cannot be read \("):
        hash_files(unreachable, files, None, NullProgress())
    assert source_state(find_dataset(str(unreachable), 0)) == ""


def test_a_run_may_go_on_without_its_store(folder: AnyPath, tmp_path: Path) -> None:
    first = run_snapshot(tmp_path, f"{folder}/", FIRST)
    assert first.complete()
    assert (str(first.photos()), first.manifest().settings["location"]) == (str(folder), str(folder))
    for path in some():
        (folder / path).unlink()
    with pytest.raises(DatasetError, match=rf"folder {folder} could not be reached \(nothing is there\).*use-last"):
        run_snapshot(tmp_path, f"{folder}/", SECOND)
    second = run_snapshot(tmp_path, f"{folder}/", SECOND, "use-last")
    assert second.complete()
    manifest = second.manifest()
    assert (manifest.key, manifest.details["unreached"]["photos_of"]) == (first.manifest().key, "2026-03-01")
