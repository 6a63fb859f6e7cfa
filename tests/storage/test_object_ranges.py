"""Objects read in ranges: as files of the same bytes, one request a range."""

import io

import pytest

from tasks.paths import AnyPath, is_remote, to_path
from tasks.storage.object_ranges import ObjectRanges
from tests.support.servers.gateway import Gateway, Outcome
from tests.support.servers.object_store import ObjectStore, forget_stores

DATA = bytes(range(100))


def ranges(path: AnyPath, size: int | None = None) -> ObjectRanges:
    """Open an object."""
    assert is_remote(path)
    return ObjectRanges(path, size)


@pytest.fixture
def path(object_store: ObjectStore) -> AnyPath:
    """An object of 100 bytes."""
    path = to_path(object_store.url("ranges/a.parquet"))
    path.write_bytes(DATA)
    return path


def test_an_object_is_read_as_a_file_of_its_bytes_is(path: AnyPath) -> None:
    here, there = io.BytesIO(DATA), ranges(path)
    for place, whence, count in [(10, 0, 5), (5, 1, 10), (-8, 2, 4), (0, 1, 100), (200, 0, 5), (0, 0, -1), (0, 0, 0)]:
        assert there.seek(place, whence) == here.seek(place, whence)
        assert there.read(count) == here.read(count)
        assert there.tell() == here.tell()


def test_a_range_is_one_request_and_a_known_size_none(path: AnyPath, gateway: Gateway) -> None:
    forget_stores()
    again = to_path(str(path))
    with gateway.counting() as requests:
        file = ranges(again, 100)
        assert file.read(10) == DATA[:10]
        file.seek(0, io.SEEK_END)
        assert file.read(10) == b""
    assert requests == {"GET": 1}


def test_a_broken_read_is_tried_again(path: AnyPath, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.storage.remote_listing._RETRY_DELAYS", (0.01, 0.01))
    again = to_path(str(path))
    gateway.spoil("GET", Outcome.CUT_OFF, 2)
    assert ranges(again, 100).read() == DATA


def test_an_object_that_is_missing_is_an_error(object_store: ObjectStore) -> None:
    with pytest.raises(FileNotFoundError):
        ranges(to_path(object_store.url("ranges/missing.parquet")))
