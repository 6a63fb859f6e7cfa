"""Extraction: the right row for every photo and view, little in memory, and no finished work lost."""

import math
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.bottleneck.extract import ShardWriter, extract_bottlenecks
from tasks.bottleneck.forward import Vectors
from tasks.bottleneck.quantisation import UNBOUNDED
from tasks.bottleneck.settings import Distortion
from tasks.bottleneck.views import Pixels, Views, distort
from tasks.decode.photos import open_stores
from tasks.decode.settings import DecodeSettings
from tasks.errors import BackboneError, StoreError
from tasks.progress import NullProgress
from tasks.shards.schemas import bottleneck_schema, describe
from tasks.shards.store import ShardStore
from tasks.storage.layout import DataRoot
from tests.bottleneck.pictures import add_pictures, draw, key_of

SIZE = 8
PLAIN, BOTH = Views(1), Views(2)


class Corners:
    """A cheap backbone: the pixel at the top left and the one at the bottom left, six numbers.

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


def stored(values: Sequence[float]) -> list[int]:
    """What is stored of numbers: signed square roots in steps of 1/256."""
    return [round(256 * math.sqrt(value)) for value in values]


def expected(number: int, view: int) -> list[int]:
    pixels = draw(number, SIZE)
    column = pixels[:, -1] if view else pixels[:, 0]
    return stored([float(value) for value in (*column[0], *column[-1])])


def test_every_photo_has_a_row_for_each_view_in_the_order_of_the_pictures(
    decoded: ShardStore, store: ShardStore
) -> None:
    forward = Corners()
    with ShardWriter(store, UNBOUNDED) as sink:
        count = extract_bottlenecks(
            tables(decoded, [[0, 1, 2], [3, 4, 5, 6, 7], [8, 9]]), BOTH, forward, sink, NullProgress()
        )
    assert count == 10
    (shard,) = store.shards()
    assert pq.read_table(shard).to_pylist() == [
        {"sha256": key_of(number), "view": view, "bottleneck": expected(number, view)}
        for number in range(10)
        for view in range(2)
    ]
    assert pq.read_schema(shard).equals(store.schema)
    assert pq.read_schema(shard).metadata == store.schema.metadata


def test_batches_span_shards_and_only_the_last_is_smaller(decoded: ShardStore, store: ShardStore) -> None:
    forward = Corners()
    with ShardWriter(store, UNBOUNDED) as sink:
        extract_bottlenecks(tables(decoded, [[0], [1, 2, 3, 4, 5], [6, 7, 8, 9]]), PLAIN, forward, sink, NullProgress())
    assert forward.batches == [4, 4, 2]


def test_one_view_is_the_plain_photo(decoded: ShardStore, store: ShardStore) -> None:
    with ShardWriter(store, UNBOUNDED) as sink:
        extract_bottlenecks(tables(decoded, [[3]]), PLAIN, Corners(), sink, NullProgress())
    assert pq.read_table(store.shards()[0]).to_pylist() == [
        {"sha256": key_of(3), "view": 0, "bottleneck": expected(3, 0)}
    ]


def test_no_pictures_make_no_shard(decoded: ShardStore, store: ShardStore) -> None:
    with ShardWriter(store, UNBOUNDED) as sink:
        assert extract_bottlenecks(tables(decoded, []), BOTH, Corners(), sink, NullProgress()) == 0
    assert store.shards() == []


def test_distorted_views_follow_the_plain_ones(decoded: ShardStore, store: ShardStore) -> None:
    distortion = Distortion(2, flip_left_right=True, random_crop=20, random_scale=10, random_brightness=30, seed=1)
    with ShardWriter(store, UNBOUNDED) as sink:
        extract_bottlenecks(tables(decoded, [[0, 1]]), Views(1, distortion), Corners(), sink, NullProgress())
    rows = pq.read_table(store.shards()[0]).to_pylist()
    assert [(row["sha256"], row["view"]) for row in rows] == [
        (key_of(number), v) for number in (0, 1) for v in range(3)
    ]
    for number in (0, 1):
        for view in (1, 2):
            seen = Corners()(distort(draw(number, SIZE), key_of(number), view, distortion)[None])
            assert rows[3 * number + view]["bottleneck"] == stored(seen[0].tolist())


def test_shards_are_published_as_soon_as_they_are_full(decoded: ShardStore, store: ShardStore) -> None:
    with ShardWriter(store, UNBOUNDED, photos_per_shard=8) as sink:
        extract_bottlenecks(tables(decoded, [list(range(20))]), BOTH, Corners(), sink, NullProgress())
    assert sorted(pq.read_metadata(shard).num_rows for shard in store.shards()) == [8, 16, 16]


def test_finished_work_is_published_when_the_backbone_fails(decoded: ShardStore, store: ShardStore) -> None:
    threads, forward = set(threading.enumerate()), Corners(good=3)
    with pytest.raises(RuntimeError, match="broke"), ShardWriter(store, UNBOUNDED) as sink:
        extract_bottlenecks(tables(decoded, [list(range(20))]), PLAIN, forward, sink, NullProgress())
    keys = [key for shard in store.shards() for key in pq.read_table(shard)["sha256"].to_pylist()]
    assert keys == [key_of(number) for number in range(12)]
    assert set(threading.enumerate()) <= threads


def test_damaged_picture_is_an_error_after_the_batches_before_it(decoded: ShardStore, store: ShardStore) -> None:
    def damaged() -> Iterator[pa.Table]:
        yield from tables(decoded, [[0, 1, 2, 3]])
        image = pa.array([{"bytes": b"no picture", "path": "x"}], decoded.schema.field("image").type)
        yield pa.table({"sha256": [key_of(4)], "image": image})

    with (
        pytest.raises(StoreError, match="picture of the decoded store is damaged"),
        ShardWriter(store, UNBOUNDED) as sink,
    ):
        extract_bottlenecks(damaged(), PLAIN, Corners(), sink, NullProgress())
    assert sum(pq.read_metadata(shard).num_rows for shard in store.shards()) == 4


def test_shard_that_cannot_be_written_is_an_error(decoded: ShardStore, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = ShardStore(tmp_path / "file" / "store", bottleneck_schema(6, "int16"), 4096)
    with pytest.raises(OSError, match="file"), ShardWriter(store, UNBOUNDED, photos_per_shard=4) as sink:
        extract_bottlenecks(tables(decoded, [list(range(8))]), PLAIN, Corners(), sink, NullProgress())


def test_a_number_that_cannot_be_stored_is_an_error_that_names_the_photo_after_the_batches_before_it(
    decoded: ShardStore, store: ShardStore
) -> None:
    class Huge(Corners):
        def __call__(self, pixels: Pixels) -> Vectors:
            vectors = super().__call__(pixels)
            vectors[1] *= 1e6 if len(self.batches) == 2 else 1
            return vectors

    with (
        pytest.raises(BackboneError, match=f"the photo {key_of(5)} has the number "),
        ShardWriter(store, UNBOUNDED) as sink,
    ):
        extract_bottlenecks(tables(decoded, [list(range(12))]), PLAIN, Huge(), sink, NullProgress())
    keys = [key for shard in store.shards() for key in pq.read_table(shard)["sha256"].to_pylist()]
    assert keys == [key_of(number) for number in range(4)]


def test_rows_are_in_the_order_of_the_pictures_however_many_threads_work_on_them(
    decoded: ShardStore, store: ShardStore
) -> None:
    class Slow(Corners):
        def __call__(self, pixels: Pixels) -> Vectors:
            if 0 < len(self.batches) < 3:
                time.sleep(0.05)
            return super().__call__(pixels)

    forward = Slow(batch_size=2, workers=4)
    with ShardWriter(store, UNBOUNDED) as sink:
        extract_bottlenecks(tables(decoded, [list(range(20))]), BOTH, forward, sink, NullProgress())
    rows = pq.read_table(store.shards()[0]).to_pylist()
    assert [row["bottleneck"] for row in rows] == [expected(number, view) for number in range(20) for view in (0, 1)]


def test_every_photo_is_told(decoded: ShardStore, store: ShardStore) -> None:
    class Told(NullProgress):
        counts: list[int] = []  # noqa: RUF012 - one listener

        def advance(self, count: int) -> None:
            self.counts.append(count)

    with ShardWriter(store, UNBOUNDED) as sink:
        extract_bottlenecks(tables(decoded, [list(range(10))]), BOTH, Corners(), sink, told := Told())
    assert told.counts == [4, 4, 2]
