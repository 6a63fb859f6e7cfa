"""Photos on an object store: the same rules as on a disk, one listing, and one request for each photo that is new."""

import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tasks import paths
from tasks.catalog import find_dataset
from tasks.errors import DatasetError
from tasks.paths import AnyPath, is_remote, to_path
from tasks.progress import NullProgress
from tasks.run_context import RunContext
from tasks.snapshot.hashes import hash_files
from tasks.snapshot.ignored import IgnoredSummary
from tasks.snapshot.listing import PhotoFile
from tasks.snapshot.photo_io import photo_sha256, read_photo
from tasks.snapshot.photos import take_snapshot
from tasks.snapshot.task import TakeSnapshot, source_state
from tasks.snapshot.walk import list_files, list_unread
from tasks.storage.remote_listing import StoreUnreachableError, objects_below
from tests.support.processes import until
from tests.support.progress import Tally
from tests.support.servers.gateway import Fate, Gateway
from tests.support.servers.object_store import ObjectStore, forget_stores

JPEG = b"\xff\xd8\xff\xe0 and so on"
ODD = ["très grand/ü.jpg", "a b/c d.jpg", "a+b/1+1=2.jpg", "c#/#1.jpg", "100%/50%25.jpg", "w?/what?.jpg", "[x]/*.jpg"]
FIRST, SECOND = dt.date(2026, 3, 1), dt.date(2026, 3, 2)


def put(folder: AnyPath, files: Mapping[str, bytes]) -> AnyPath:
    """Put files below a folder, on a store or on the disk."""
    if is_remote(folder):
        folder.fs.pipe({f"{folder.path}/{path}": data for path, data in files.items()})
        return folder
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def some(count: int = 6) -> dict[str, bytes]:
    """Photos of two labels."""
    return {f"{('roses', 'tulips')[number % 2]}/{number}.jpg": f"photo {number}".encode() for number in range(count)}


@pytest.fixture
def folder(object_store: ObjectStore) -> AnyPath:
    """A folder of a store, of which nothing is there."""
    return to_path(object_store.url("photos"))


@pytest.fixture
def down(folder: AnyPath, monkeypatch: pytest.MonkeyPatch) -> Iterator[AnyPath]:
    """The same folder, with some photos in it, of a store that does not answer and is given up at once."""
    put(folder, some())
    monkeypatch.setitem(paths._OPTIONS["s3"]["config_kwargs"], "retries", {"max_attempts": 0})
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    forget_stores()
    yield to_path(str(folder))
    forget_stores()


def test_a_file_on_a_store_is_a_photo_by_the_rules_of_the_disk(folder: AnyPath, tmp_path: Path) -> None:
    files = {
        "roses/a.jpg": b"1",
        "roses/deep/er/b.PNG": b"12",
        "roses/empty.jpg": b"",
        "tulips/photo": JPEG,
        "tulips/no photo": b"no photo",
        "tulips/nothing": b"",
        "tulips/raw.nef": b"II*\0",
        "notes/readme.md": b"text",
        "beside.jpg": b"1",
        "LICENSE.txt": b"text",
        "roses/Thumbs.db": b"x",
        "roses/.hidden.jpg": b"1",
        "roses/.cache/a.jpg": b"1",
        "roses/.cache/b.jpg": b"1",
        "__MACOSX/roses/a.jpg": b"1",
        "roses/@eaDir/a.jpg/SYNOFILE_THUMB_M.jpg": b"1",
        "roses/@eaDir/a.jpg/SYNOFILE_THUMB_XL.jpg": b"1",
        "#recycle/roses/a.jpg": b"1",
        "raw/1.CR2": b"II*\0",
        "raw/2.jxl": b"\xff\x0a",
        "raw/3.mov": b"x",
        "raw/odd": b"\xff\x0a",
        "gtsrb/00000.ppm": b"P6\n1 1\n",
        "gtsrb/plain": b"P6\n1 1\n255\n...",
        "LICENSE": b"text",
    }
    here, there = list_files(put(tmp_path / "photos", files)), list_files(put(folder, files))
    assert [(file.path, file.size) for file in there.files] == [(file.path, file.size) for file in here.files]
    assert there.summarise_ignored() == here.summarise_ignored()
    assert here.summarise_ignored().folders == {
        "notes": {"not a photo": 1},
        "raw": {"raw photo": 1, "unsupported image format": 2, "video": 1},
    }
    beside = list_files(folder, labelled=False)
    assert [file.path for file in beside.files] == [
        f.path for f in list_files(tmp_path / "photos", labelled=False).files
    ]


def test_a_name_on_a_store_is_taken_letter_by_letter(folder: AnyPath) -> None:
    put(folder, {path: path.encode() for path in ODD})
    snapshot = take_snapshot(folder, None, NullProgress())
    hashes = {path: hashlib.sha256(path.encode()).hexdigest() for path in ODD}
    assert dict(zip(snapshot.table["path"].to_pylist(), snapshot.table["sha256"].to_pylist(), strict=True)) == hashes
    assert {path: read_photo(folder / path, 100).decode() for path in ODD} == {path: path for path in ODD}
    assert set(snapshot.table["label"].to_pylist()) == {path.partition("/")[0] for path in ODD}


def test_what_only_shows_a_folder_is_no_file(folder: AnyPath) -> None:
    put(folder, {"roses/a.jpg": b"1", "roses/": b"", "": b"", "empty/": b"", "empty/below/": b""})
    listing = list_files(folder)
    assert ([file.path for file in listing.files], listing.summarise_ignored()) == (["roses/a.jpg"], IgnoredSummary())


def test_a_bucket_is_a_folder_too(folder: AnyPath) -> None:
    put(folder, some())
    bucket = list_unread(to_path(f"s3://{str(folder).split('/')[2]}"))
    above = f"{folder.parent.name}/{folder.name}/"
    assert [file.path for file in bucket.files if file.path.startswith(above)] == [
        above + path for path in sorted(some())
    ]


def test_the_first_night_asks_once_for_each_photo_and_a_night_without_news_only_lists(
    folder: AnyPath, gateway: Gateway
) -> None:
    put(to_path(str(folder)), {**some(40), "roses/photo": JPEG})
    first, progress = to_path(str(folder)), Tally()
    with gateway.counting() as cold:
        snapshot = take_snapshot(first, None, progress)
    # The one without a suffix is looked at first.
    assert cold == {"LIST": 1, "GET": 42}
    assert (snapshot.hashed, progress.total, progress.done) == (41, 41, 41)
    with gateway.counting() as warm:
        again = take_snapshot(to_path(str(folder)), snapshot.hashes, NullProgress())
        state = source_state(find_dataset(str(folder), 0))
    assert warm == {"LIST": 2}
    assert (again.key, again.hashed, state) == (snapshot.key, 0, snapshot.state)


def test_a_json_beside_each_photo_is_never_asked_for(folder: AnyPath, gateway: Gateway) -> None:
    beside = {f"{path.removesuffix('.jpg')}{suffix}": b"{}" for path in some() for suffix in (".json", ".txt")}
    put(to_path(str(folder)), {**some(), **beside})
    with gateway.counting() as cold:
        snapshot = take_snapshot(to_path(str(folder)), None, NullProgress())
    assert cold == {"LIST": 1, "GET": 6}
    assert snapshot.ignored.counts == {"not a photo": 12}


def test_an_object_written_anew_within_the_same_second_is_read_again(folder: AnyPath) -> None:
    assert is_remote(folder)
    bucket = folder

    def second(path: str) -> int:
        (found,) = [one for one in objects_below(bucket) if one.path == path]
        return found.modified

    def is_read_again_within_a_second() -> bool:
        put(folder, some())
        begun = second("roses/0.jpg")
        before = take_snapshot(folder, None, NullProgress())
        put(folder, {"roses/0.jpg": b"PHOTO 0"})
        after = take_snapshot(folder, before.hashes, NullProgress())
        assert after.hashed == 1
        assert (after.state, after.key) != (before.state, before.key)
        return second("roses/0.jpg") == begun

    # The clock may turn meanwhile, and on a busy machine more often.
    until(is_read_again_within_a_second)


def test_what_is_no_photo_is_part_of_the_state_without_being_looked_at(folder: AnyPath) -> None:
    put(folder, {**some(), "roses/thing": b"no photo"})
    looked = list_files(folder)
    assert looked.ignored.counts == {"not a photo": 1}
    assert list_unread(folder).state() == looked.state()
    put(folder, {"roses/thing": JPEG})
    assert list_files(folder).state() != looked.state()


def test_an_object_that_is_gone_by_the_time_it_is_read_is_left_out(folder: AnyPath) -> None:
    files = list_files(put(folder, some())).files
    (folder / "roses/0.jpg").unlink()
    hashed = hash_files(folder, files, None, NullProgress())
    assert (hashed.read, hashed.unreadable, hashed.table.num_rows) == (5, (), 5)
    with pytest.raises(FileNotFoundError):
        read_photo(folder / "roses/0.jpg", 100)


@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 20, 25])
def test_a_large_object_is_hashed_piece_by_piece(folder: AnyPath, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr("tasks.snapshot.photo_io.PIECE", 10)
    data = bytes(range(size))
    put(folder, {"a.jpg": data})
    assert photo_sha256(folder / "a.jpg") == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("remote", [True, False])
def test_of_a_photo_that_is_too_large_one_byte_too_many_is_read(folder: AnyPath, tmp_path: Path, remote: bool) -> None:
    place = put(folder if remote else tmp_path, {"a.jpg": b"12345", "empty.jpg": b""})
    assert [read_photo(place / "a.jpg", most) for most in (3, 4, 5, 6)] == [b"1234", b"12345", b"12345", b"12345"]
    assert read_photo(place / "empty.jpg", 3) == b""


def test_what_breaks_off_is_asked_for_again(folder: AnyPath, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.storage.remote_listing._PAUSES", (0.01, 0.01))
    place = put(to_path(str(folder)), some())
    gateway.spoil("GET", Fate.CUT_OFF, 2)
    assert take_snapshot(place, None, NullProgress()).photos == 6
    gateway.decide(lambda request: Fate.CUT_OFF if request.key.endswith("0.jpg") else Fate.PASSED)
    with pytest.raises(DatasetError, match=r"The photos at s3://.*/roses/0\.jpg cannot be read"):
        take_snapshot(place, None, NullProgress())


def test_a_folder_of_which_nothing_is_there_is_an_error_that_names_it(folder: AnyPath) -> None:
    with pytest.raises(DatasetError, match=rf"There is no folder of photos at {folder} \(nothing is there\)\. Give"):
        list_files(folder)
    put(folder, {"a.jpg": b"1"})
    with pytest.raises(DatasetError, match=r"no folder of photos at .*/photos/a\.jpg \(it is a file\)"):
        list_files(folder / "a.jpg")


@pytest.mark.usefixtures("object_store")
def test_a_bucket_that_is_not_there_is_an_error_that_names_it() -> None:
    with pytest.raises(
        DatasetError, match=r"photos at s3://nowhere-at-all/photos cannot be read \(.*bucket.*\)\. Check"
    ):
        list_files(to_path("s3://nowhere-at-all/photos"))


def test_whoever_may_not_read_is_told_so_and_nothing_of_the_secret(
    folder: AnyPath, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder, some())
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    forget_stores()
    other = to_path(str(folder))
    try:
        with pytest.raises(DatasetError, match=rf"The photos at {folder} cannot be read \(") as listing:
            list_files(other)
        with pytest.raises(StoreUnreachableError, match=rf"{folder}/roses/0\.jpg cannot be read"):
            read_photo(other / "roses/0.jpg", 100)
    finally:
        forget_stores()
    assert object_store.secret not in str(listing.value)


def test_a_store_that_is_down_is_no_photo_that_is_gone(down: AnyPath) -> None:
    with pytest.raises(DatasetError, match=rf"The photos at {down} cannot be read \("):
        list_files(down)
    with pytest.raises(DatasetError, match=r"The photos at .*/roses/0\.jpg cannot be read \("):
        hash_files(down, [PhotoFile("roses/0.jpg", 7, "1"), PhotoFile("roses/2.jpg", 7, "1")], None, NullProgress())
    assert source_state(find_dataset(str(down), 0)) == ""


def test_a_night_may_go_on_without_its_store(folder: AnyPath, tmp_path: Path) -> None:
    def take(date: dt.date, away: str = "fail") -> TakeSnapshot:
        dataset = find_dataset(f"{folder}/", 0)
        task = TakeSnapshot(
            context=RunContext(data_root=str(tmp_path), run_id=f"{date}{away}"),
            dataset=dataset,
            date=date,
            on_missing_source=away,
        )
        task.run()
        assert task.complete()
        return task

    put(folder, some())
    first = take(FIRST)
    assert (str(first.photos()), first.manifest().settings["location"]) == (str(folder), str(folder))
    for path in some():
        (folder / path).unlink()
    with pytest.raises(DatasetError, match=rf"folder {folder} could not be reached \(nothing is there\).*use-last"):
        take(SECOND)
    second = take(SECOND, "use-last").manifest()
    assert (second.key, second.details["unreached"]["photos_of"]) == (first.manifest().key, "2026-03-01")
