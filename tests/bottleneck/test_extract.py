"""Extraction: the right row for every photo and view, and no finished work lost."""

import math
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.backbone.backbones import Backbone
from tasks.bottleneck import extract as module
from tasks.bottleneck.extract import embed_pictures
from tasks.bottleneck.forward import Vectors
from tasks.bottleneck.settings import BottleneckSettings, Distortion
from tasks.bottleneck.views import Pixels, distort
from tasks.decode.photos import open_stores
from tasks.errors import BackboneError, StoreError
from tasks.shards.store import ShardStore
from tasks.storage.layout import DataRoot
from tests.bottleneck.pictures import add_pictures, draw, key_of
from tests.support.progress import Tally

SIZE = 8
PLAIN = BottleneckSettings(
    Backbone("corners", "keras_file", "", "0" * 64, SIZE, ("",), (6,), "raw"), "png", "float32", views=1
)
BOTH = replace(PLAIN, views=2)


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


def tables(root: DataRoot[Path], *shards: Iterable[int]) -> Iterator[pa.Table]:
    """Pictures as a decoded store yields them, shard by shard."""
    store = open_stores(root, PLAIN.decode).decoded
    for numbers in shards:
        yield pq.read_table(add_pictures(store, list(numbers), SIZE), columns=["sha256", "image"])


def extract(
    root: DataRoot[Path], pictures: Iterable[pa.Table], forward: Corners | None = None, how: BottleneckSettings = PLAIN
) -> ShardStore:
    assert embed_pictures(pictures, how, root, forward or Corners(), told := Tally()) == told.done
    return how.store(root)


def rows(store: ShardStore) -> list[dict[str, Any]]:
    return [row for shard in store.shards() for row in pq.read_table(shard).to_pylist()]


def keys(root: DataRoot[Path]) -> list[str]:
    return [row["sha256"] for row in rows(PLAIN.store(root))]


def stored(values: Iterable[float]) -> list[int]:
    """Return the stored numbers: signed square roots in steps of 1/256."""
    return [round(256 * math.sqrt(value)) for value in values]


def expected(number: int, view: int) -> dict[str, Any]:
    column = draw(number, SIZE)[:, -1 if view else 0].astype(float)
    return {"sha256": key_of(number), "view": view, "bottleneck": stored((*column[0], *column[-1]))}


@pytest.mark.parametrize(("how", "views"), [(PLAIN, (0,)), (BOTH, (0, 1))])
def test_every_photo_has_a_row_for_each_view_in_the_order_of_the_pictures(
    root: DataRoot[Path], how: BottleneckSettings, views: tuple[int, ...]
) -> None:
    """Batches span shards, and only the last one is smaller."""
    store = extract(root, tables(root, [0], range(1, 6), range(6, 10)), forward := Corners(), how)
    assert forward.batches == [size for size in (4, 4, 2) for _ in views]
    (shard,) = store.shards()
    assert rows(store) == [expected(number, view) for number in range(10) for view in views]
    schema = pq.read_schema(shard)
    assert (schema, schema.metadata) == (store.schema, store.schema.metadata)


def test_rows_are_in_the_order_of_the_pictures_however_many_threads_work_on_them(root: DataRoot[Path]) -> None:
    class Slow(Corners):
        def __call__(self, pixels: Pixels) -> Vectors:
            if 0 < len(self.batches) < 3:
                time.sleep(0.05)
            return super().__call__(pixels)

    store = extract(root, tables(root, range(20)), Slow(batch_size=2, workers=4), BOTH)
    assert rows(store) == [expected(number, view) for number in range(20) for view in (0, 1)]


def test_no_pictures_make_no_shard(root: DataRoot[Path]) -> None:
    assert extract(root, []).shards() == []


def test_distorted_views_follow_the_plain_ones(root: DataRoot[Path]) -> None:
    distortion = Distortion(2, flip_left_right=True, random_crop=20, random_scale=10, random_brightness=30, seed=1)
    found = rows(extract(root, tables(root, [0, 1]), how=replace(PLAIN, distortion=distortion)))
    for number in (0, 1):
        plain, *distorted = found[3 * number : 3 * number + 3]
        assert plain == expected(number, 0)
        for view, row in enumerate(distorted, 1):
            seen = Corners()(distort(draw(number, SIZE), key_of(number), view, distortion)[None])
            assert row == {"sha256": key_of(number), "view": view, "bottleneck": stored(seen[0].tolist())}


def test_shards_are_published_as_soon_as_they_are_full(root: DataRoot[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PHOTOS_PER_SHARD", 8)
    store = extract(root, tables(root, range(20)), how=BOTH)
    assert sorted(pq.read_metadata(shard).num_rows for shard in store.shards()) == [8, 16, 16]


def test_finished_work_is_published_when_the_backbone_fails(root: DataRoot[Path]) -> None:
    threads = set(threading.enumerate())
    with pytest.raises(RuntimeError, match="broke"):
        extract(root, tables(root, range(20)), Corners(good=3))
    assert keys(root) == [key_of(number) for number in range(12)]
    assert set(threading.enumerate()) <= threads


def test_damaged_picture_is_an_error_after_the_batches_before_it(root: DataRoot[Path]) -> None:
    (whole,) = tables(root, range(4))
    image = pa.array([{"bytes": b"no picture", "path": "x"}], whole.schema.field("image").type)
    with pytest.raises(StoreError, match="picture of the decoded store is damaged"):
        extract(root, [whole, pa.table({"sha256": [key_of(4)], "image": image})])
    assert keys(root) == [key_of(number) for number in range(4)]


def test_shard_that_cannot_be_written_is_an_error(root: DataRoot[Path], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        extract(DataRoot(tmp_path / "file"), tables(root, range(8)))


def test_number_that_cannot_be_stored_is_an_error_that_names_the_photo_after_the_batches_before_it(
    root: DataRoot[Path],
) -> None:
    class Huge(Corners):
        def __call__(self, pixels: Pixels) -> Vectors:
            vectors = super().__call__(pixels)
            vectors[1] *= 1e6 if len(self.batches) == 2 else 1
            return vectors

    with pytest.raises(BackboneError, match=f"the photo {key_of(5)} has the number "):
        extract(root, tables(root, range(12)), Huge())
    assert keys(root) == [key_of(number) for number in range(4)]
