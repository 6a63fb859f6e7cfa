"""Extraction: the right row for every photo and view, and no finished work lost."""

import math
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.bottleneck.extract import PHOTOS_PER_SHARD, ShardWriter, extract_bottlenecks
from tasks.bottleneck.forward import Vectors
from tasks.bottleneck.quantisation import UNBOUNDED
from tasks.bottleneck.settings import Distortion
from tasks.bottleneck.views import Pixels, Views, distort
from tasks.decode.photos import open_stores
from tasks.decode.settings import DecodeSettings
from tasks.errors import BackboneError, StoreError
from tasks.shards.schemas import bottleneck_schema, describe
from tasks.shards.store import ShardStore
from tasks.storage.layout import DataRoot
from tests.bottleneck.pictures import add_pictures, draw, key_of
from tests.support.progress import Tally

SIZE = 8
PLAIN, BOTH = Views(1), Views(2)


class Corners:
    """A backbone that takes the pixels at the top left and at the bottom left: six numbers.

    Args:
        batch_size: Pictures in a batch.
        good: Batches after which it fails.
        workers: Threads that may call it at once.
    """

    def __init__(self, batch_size: int = 4, good: int = 1000, workers: int = 1) -> None:
        self.batch_size, self.workers, self._good = batch_size, workers, good
        self.batches: list[int] = []

    def __call__(self, pixels: Pixels) -> Vectors:
        """Look at pixels: uint8 [N, 8, 8, 3] to float32 [N, 6]."""
        if len(self.batches) == self._good:
            raise RuntimeError("The backbone broke.")
        self.batches.append(len(pixels))
        return pixels[:, [0, -1], 0].reshape(len(pixels), 6).astype(np.float32)


@pytest.fixture
def decoded(tmp_path: Path) -> ShardStore:
    return open_stores(DataRoot(tmp_path), DecodeSettings(SIZE, SIZE, encoding="png")).decoded


@pytest.fixture
def store(tmp_path: Path) -> ShardStore:
    return ShardStore(tmp_path / "bottleneck", describe(bottleneck_schema(6, "int16"), "bottleneck", "key", {}), 4096)


def tables(decoded: ShardStore, shards: list[list[int]]) -> Iterator[pa.Table]:
    """Pictures as a decoded store yields them, shard by shard."""
    for numbers in shards:
        yield pq.read_table(add_pictures(decoded, numbers, SIZE), columns=["sha256", "image"])


def extract(
    pictures: Iterable[pa.Table],
    store: ShardStore,
    forward: Corners | None = None,
    views: Views = PLAIN,
    photos_per_shard: int = PHOTOS_PER_SHARD,
) -> Tally:
    """Extract bottlenecks into a store; returns the progress."""
    with ShardWriter(store, UNBOUNDED, photos_per_shard) as writer:
        count = extract_bottlenecks(pictures, views, forward or Corners(), writer, told := Tally())
    assert told.done == count
    return told


def rows(store: ShardStore) -> list[dict[str, Any]]:
    """Read all shards of a store."""
    return [row for shard in store.shards() for row in pq.read_table(shard).to_pylist()]


def keys(store: ShardStore) -> list[str]:
    return [row["sha256"] for row in rows(store)]


def stored(values: Iterable[float]) -> list[int]:
    """Return the stored numbers: signed square roots in steps of 1/256."""
    return [round(256 * math.sqrt(value)) for value in values]


def expected(number: int, view: int) -> dict[str, Any]:
    """Return the row of a photo and view."""
    column = draw(number, SIZE)[:, -1 if view else 0].astype(float)
    return {"sha256": key_of(number), "view": view, "bottleneck": stored((*column[0], *column[-1]))}


@pytest.mark.parametrize(("views", "numbers"), [(PLAIN, (0,)), (BOTH, (0, 1))])
def test_every_photo_has_a_row_for_each_view_in_the_order_of_the_pictures(
    decoded: ShardStore, store: ShardStore, views: Views, numbers: tuple[int, ...]
) -> None:
    """Batches span shards, and only the last one is smaller."""
    told = extract(tables(decoded, [[0], [1, 2, 3, 4, 5], [6, 7, 8, 9]]), store, forward := Corners(), views)
    assert told.done == 10
    assert forward.batches == [size for size in (4, 4, 2) for _ in numbers]
    (shard,) = store.shards()
    assert rows(store) == [expected(number, view) for number in range(10) for view in numbers]
    assert pq.read_schema(shard).equals(store.schema)
    assert pq.read_schema(shard).metadata == store.schema.metadata


def test_rows_are_in_the_order_of_the_pictures_however_many_threads_work_on_them(
    decoded: ShardStore, store: ShardStore
) -> None:
    class Slow(Corners):
        def __call__(self, pixels: Pixels) -> Vectors:
            if 0 < len(self.batches) < 3:
                time.sleep(0.05)
            return super().__call__(pixels)

    extract(tables(decoded, [list(range(20))]), store, Slow(batch_size=2, workers=4), BOTH)
    assert rows(store) == [expected(number, view) for number in range(20) for view in (0, 1)]


def test_no_pictures_make_no_shard(decoded: ShardStore, store: ShardStore) -> None:
    assert extract(tables(decoded, []), store).done == 0
    assert store.shards() == []


def test_distorted_views_follow_the_plain_ones(decoded: ShardStore, store: ShardStore) -> None:
    distortion = Distortion(2, flip_left_right=True, random_crop=20, random_scale=10, random_brightness=30, seed=1)
    extract(tables(decoded, [[0, 1]]), store, views=Views(1, distortion))
    for number in (0, 1):
        plain, *distorted = rows(store)[3 * number : 3 * number + 3]
        assert plain == expected(number, 0)
        for view, row in enumerate(distorted, 1):
            seen = Corners()(distort(draw(number, SIZE), key_of(number), view, distortion)[None])
            assert row == {"sha256": key_of(number), "view": view, "bottleneck": stored(seen[0].tolist())}


def test_shards_are_published_as_soon_as_they_are_full(decoded: ShardStore, store: ShardStore) -> None:
    extract(tables(decoded, [list(range(20))]), store, views=BOTH, photos_per_shard=8)
    assert sorted(pq.read_metadata(shard).num_rows for shard in store.shards()) == [8, 16, 16]


def test_finished_work_is_published_when_the_backbone_fails(decoded: ShardStore, store: ShardStore) -> None:
    threads = set(threading.enumerate())
    with pytest.raises(RuntimeError, match="broke"):
        extract(tables(decoded, [list(range(20))]), store, Corners(good=3))
    assert keys(store) == [key_of(number) for number in range(12)]
    assert set(threading.enumerate()) <= threads


def test_damaged_picture_is_an_error_after_the_batches_before_it(decoded: ShardStore, store: ShardStore) -> None:
    image = pa.array([{"bytes": b"no picture", "path": "x"}], decoded.schema.field("image").type)
    damaged = pa.table({"sha256": [key_of(4)], "image": image})
    with pytest.raises(StoreError, match="picture of the decoded store is damaged"):
        extract([*tables(decoded, [[0, 1, 2, 3]]), damaged], store)
    assert keys(store) == [key_of(number) for number in range(4)]


def test_shard_that_cannot_be_written_is_an_error(decoded: ShardStore, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = ShardStore(tmp_path / "file" / "store", bottleneck_schema(6, "int16"), 4096)
    with pytest.raises(OSError, match="file"):
        extract(tables(decoded, [list(range(8))]), store, photos_per_shard=4)


def test_number_that_cannot_be_stored_is_an_error_that_names_the_photo_after_the_batches_before_it(
    decoded: ShardStore, store: ShardStore
) -> None:
    class Huge(Corners):
        def __call__(self, pixels: Pixels) -> Vectors:
            vectors = super().__call__(pixels)
            vectors[1] *= 1e6 if len(self.batches) == 2 else 1
            return vectors

    with pytest.raises(BackboneError, match=f"the photo {key_of(5)} has the number "):
        extract(tables(decoded, [list(range(12))]), store, Huge())
    assert keys(store) == [key_of(number) for number in range(4)]
