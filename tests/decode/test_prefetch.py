"""Photos on an object store are decoded like local ones, fetched once, and limited in number of pending bytes."""

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.decode import prefetch
from tasks.decode.images import Picture
from tasks.decode.photo_file import LARGE_FILE, DecodeResult, Photo, decode_file
from tasks.decode.photos import DecodeCounts, decode_photos, open_stores
from tasks.decode.prefetch import RunBatch
from tasks.decode.rejections import CHANGED, Reason, Rejection, unread
from tasks.decode.worker_pool import BATCH, BATCH_BYTES, MAX_PENDING_BYTES, map_in_processes, work_on_photos
from tasks.paths import AnyPath, to_path
from tasks.progress import NullProgress
from tasks.storage.layout import DataRoot
from tests.decode.deadly import SETTINGS, die_of_the_deadly, die_once
from tests.decode.drawing import encode, smooth, table_of
from tests.snapshot.parquet.parquet_files import image_table, parquet
from tests.snapshot.photo_files import put
from tests.support.servers.gateway import Gateway
from tests.support.servers.object_store import ObjectStore

GOOD = encode(smooth(40, 30), "JPEG")


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, _own_scratch: None) -> Path:
    """The folder of the temporary files of one test."""
    return tmp_path / "scratch"


def drawn(count: int) -> dict[str, bytes]:
    """Photos of different bytes with special characters in their names."""
    return {f"roses/{number:03} ü+%20&a.jpg": GOOD + str(number).encode() for number in range(count)}


def decode(photos: dict[str, bytes], folder: AnyPath, root: AnyPath) -> tuple[DecodeCounts, list[pa.Table]]:
    """Decode photos; returns the counts, and the rows of both stores in the order in which they were written."""
    stores = open_stores(DataRoot(root), SETTINGS)
    counts = decode_photos(table_of(photos), folder, stores, NullProgress())
    keys = table_of(photos)["sha256"].combine_chunks()
    return counts, [store.read(keys) for store in (stores.decoded, stores.rejected)]


def numbered(folder: AnyPath, count: int) -> list[Photo]:
    """Numbered photos of arbitrary bytes."""
    put(folder, {f"{number}.jpg": b"bytes" for number in range(count)})
    return [Photo(f"{number:064x}", f"{number}.jpg", len(b"bytes")) for number in range(count)]


def tried(
    work: Callable[..., DecodeResult], photos: Sequence[Photo], folder: AnyPath, workers: int = 2
) -> list[DecodeResult]:
    return [one for batch in work_on_photos(work, photos, folder, workers) for one in batch]


def test_rows_are_those_of_local_files_in_their_order_and_each_photo_is_one_request(
    object_store: ObjectStore, gateway: Gateway, tmp_path: Path, scratch: Path
) -> None:
    photos = drawn(2 * BATCH + 9)
    here = decode(photos, put(tmp_path / "photos", photos), tmp_path / "data")
    folder = put(to_path(object_store.url("photos")), photos)
    with gateway.counting() as requests:
        # The data root is here, so that no other requests are counted.
        there = decode(photos, folder, tmp_path / "beside")
    assert there == here
    assert there[0] == DecodeCounts(len(photos), 0, 0, 0, ())
    assert requests == {"GET": len(photos)}
    asked = [request.key.rpartition("/photos/")[2] for request in gateway.seen if request.kind == "GET"]
    assert sorted(asked) == sorted(photos)
    assert not [path for path in scratch.rglob("*") if path.is_file()]


def test_photos_without_a_picture_are_reported_like_local_ones(object_store: ObjectStore, tmp_path: Path) -> None:
    photos = {**drawn(5), "note.jpg": b"text", "empty.jpg": b"", "shrunk.jpg": GOOD + bytes(99), "grown.jpg": b"short"}
    gone, edited = "roses/003 ü+%20&a.jpg", "roses/001 ü+%20&a.jpg"
    later = {edited: GOOD + b"9", "grown.jpg": GOOD, "shrunk.jpg": GOOD}

    def change(folder: AnyPath) -> AnyPath:
        (folder / gone).unlink()
        for name, data in later.items():
            (folder / name).write_bytes(data)
        return folder

    here = decode(photos, change(put(tmp_path / "photos", photos)), tmp_path / "data")
    there = decode(photos, change(put(to_path(object_store.url("photos")), photos)), to_path(object_store.url("data")))
    assert there == here
    counts, (_, rejected) = there
    assert (counts.new, rejected["path"].to_pylist()) == (3, ["note.jpg", "empty.jpg"])
    reasons = {gone: Reason.VANISHED, **dict.fromkeys(later, Reason.CHANGED)}
    assert {skip.path: skip.reason for skip in counts.skipped} == reasons


@pytest.mark.parametrize("known", [True, False])
def test_a_photo_of_too_many_bytes_is_hashed_but_not_decoded(
    object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    monkeypatch.setattr(prefetch, "MAX_BYTES", len(GOOD) - 1)
    folder = put(to_path(object_store.url("photos")), {"large.jpg": GOOD, "edited.jpg": GOOD})
    sha256, size = hashlib.sha256(GOOD).hexdigest(), len(GOOD) * known
    photos = [Photo(sha256, "large.jpg", size), Photo("0" * 64, "edited.jpg", size), Photo("", "large.jpg", size)]
    outcomes = tried(partial(decode_file, settings=SETTINGS), photos, folder)
    assert [one.result for one in outcomes] == [LARGE_FILE, CHANGED, LARGE_FILE]
    assert outcomes[2].photo.sha256 == sha256, "the caller may not know it"


def test_the_size_may_be_unknown_and_the_work_may_compute_the_key(object_store: ObjectStore) -> None:
    folder = put(to_path(object_store.url("photos")), {"a.jpg": GOOD, "empty.jpg": b""})
    sha256 = hashlib.sha256(GOOD).hexdigest()
    work = partial(decode_file, settings=SETTINGS)
    [known, empty] = tried(work, [Photo(sha256, "a.jpg"), Photo("", "empty.jpg")], folder)
    assert isinstance(known.result, Picture)
    assert isinstance(empty.result, Rejection)
    [found, gone] = tried(find_out_key, [Photo("", "a.jpg"), Photo("", "gone.jpg")], folder)
    assert (found.photo, gone.photo) == (Photo(sha256, "a.jpg"), Photo("", "gone.jpg"))
    assert isinstance(gone.result, Rejection)
    assert gone.result.reason == Reason.VANISHED


def find_out_key(photo: Photo, *, folder: Path) -> DecodeResult:
    """Simulate work that hashes photos which come without a key."""
    key = hashlib.sha256((folder / photo.path).read_bytes()).hexdigest()
    return DecodeResult(photo._replace(sha256=key), Rejection(Reason.EMPTY, ""))


def test_a_photo_whose_process_is_killed_is_not_fetched_again(object_store: ObjectStore, gateway: Gateway) -> None:
    folder = to_path(object_store.url("photos"))
    photos = numbered(folder, 5)
    with gateway.counting() as requests:
        outcomes = tried(die_once, photos, folder, 1)
    assert [one.photo for one in outcomes] == photos
    assert {one.result.reason for one in outcomes if isinstance(one.result, Rejection)} == {Reason.EMPTY}
    assert requests == {"GET": 5}


def test_closing_the_generator_deletes_the_copies(object_store: ObjectStore, scratch: Path) -> None:
    folder = to_path(object_store.url("photos"))
    batches = work_on_photos(do_nothing, numbered(folder, 3 * BATCH), folder, 1)
    next(batches)
    batches.close()
    assert not [path for path in scratch.rglob("*") if path.is_file()]


def do_nothing(photo: Photo, *, folder: Path) -> DecodeResult:
    assert (folder / photo.path).read_bytes() == b"bytes"
    return die_of_the_deadly(photo)


@pytest.mark.parametrize("size", [BATCH_BYTES // 3, BATCH_BYTES // 2 + 1, MAX_PENDING_BYTES + 1])
def test_pending_photos_stay_within_the_limit_of_bytes_unless_one_is_alone(size: int) -> None:
    most, begun, ended = list[int](), list[Photo](), list[Photo]()

    def prepare(work: RunBatch, batch: Sequence[Photo]) -> Callable[[], list[DecodeResult]]:
        begun.extend(batch)
        most.append(sum(photo.size for photo in begun) - sum(photo.size for photo in ended))
        assert len(batch) == max(1, BATCH_BYTES // size)
        return partial(work, batch)

    photos = [Photo(f"{number:064x}", f"{number}.jpg", size) for number in range(24)]
    for batch in map_in_processes(die_of_the_deadly, photos, 2, prepare):
        ended.extend(one.photo for one in batch)
    assert ended == begun == photos
    assert max(most) <= max(MAX_PENDING_BYTES, size)
    assert max(most) + BATCH_BYTES > MAX_PENDING_BYTES, "the limit is used"


def test_the_refusal_of_an_object_store_is_quoted() -> None:
    refusal = unread(PermissionError("Access Denied."))
    assert refusal == (Reason.UNREADABLE, "The file cannot be read (Access Denied.). Mend that and run again.")


def test_rows_of_parquet_files_are_decoded_in_their_order_as_their_photos_are(
    folder: AnyPath, tmp_path: Path, scratch: Path
) -> None:
    photos = drawn(2 * BATCH + 9)
    here, _ = decode(photos, put(tmp_path / "photos", photos), tmp_path / "data")
    images = [{"bytes": data, "path": path} for path, data in photos.items()]
    put(folder, {"a.parquet": parquet(image_table(images, label=[0] * len(photos)))})
    table = table_of(photos)
    rows = pa.array([f"a.parquet#{number}/{number}.jpg" for number in range(len(photos))])
    # By their hashes, as the snapshot gives them.
    table = table.set_column(table.column_names.index("path"), "path", rows).sort_by("sha256")
    stores = open_stores(DataRoot(tmp_path / "rows"), SETTINGS)
    counts = decode_photos(table, folder, stores, NullProgress())
    assert counts == here
    found = [row for shard in stores.decoded.shards() for row in pq.read_table(shard)["sha256"].to_pylist()]
    assert found == table_of(photos)["sha256"].to_pylist()
    assert not [path for path in scratch.rglob("*") if path.is_file()]


def test_rows_that_are_gone_changed_or_too_large_are_told_as_photos_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefetch, "MAX_BYTES", len(GOOD) + 10)
    large = GOOD + bytes(100)
    put(
        tmp_path,
        {"a.parquet": parquet(image_table([{"bytes": GOOD}, {"bytes": large}, {"bytes": large}], label=[0] * 3))},
    )
    keys = [hashlib.sha256(data).hexdigest() for data in (GOOD, large, GOOD, GOOD, GOOD)]
    paths = ["a.parquet#0", "a.parquet#1", "a.parquet#2", "a.parquet#3", "b.parquet#0"]
    sizes = [len(GOOD), len(large), len(large), len(GOOD), len(GOOD)]
    photos = [Photo(*each) for each in zip(keys, paths, sizes, strict=True)]
    work = partial(decode_file, settings=SETTINGS)
    results = [one.result for one in tried(work, photos, tmp_path)]
    assert isinstance(results[0], Picture)
    assert results[1:4] == [LARGE_FILE, CHANGED, CHANGED]
    assert isinstance(results[4], Rejection)
    assert results[4].reason is Reason.VANISHED
