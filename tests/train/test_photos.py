"""What a head is trained on: every photo's bottlenecks beside its own label, and nothing lost unnoticed."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tasks.artifacts import SNAPSHOT, DataRoot, Manifest, Store, publish_parquet
from tasks.bottleneck.extract import ShardWriter
from tasks.errors import DatasetError, StoreError
from tasks.snapshot.splits import assign_splits
from tasks.train.photos import load_photos
from tests.bottleneck.pictures import add_bottlenecks, key_of, manifest_of, vectors_of
from tests.train.examples import BOTTLENECK, read

LABELS = ("a daisy", "roses", "Tulpen")
COUNT = 30


def label_of(number: int) -> str:
    return LABELS[number % 3]


def snapshot(root: DataRoot, numbers: Sequence[int], extra: Sequence[dict[str, object]] = ()) -> None:
    """Publish the snapshot of photos that are only numbers."""
    rows = [
        {
            "sha256": key_of(number),
            "path": f"{label_of(number)}/{number}.jpg",
            "label": label_of(number),
            "bytes": 1,
            "duplicate_of": None,
            "conflict": False,
        }
        for number in numbers
    ]
    publish_parquet(root.snapshot("snap"), pa.Table.from_pylist([*rows, *extra], SNAPSHOT))


@pytest.fixture(params=["memory", "disk"])
def root(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> DataRoot:
    if request.param == "disk":
        monkeypatch.setattr("tasks.train.vectors.MOST_IN_MEMORY", 0)
    return DataRoot(tmp_path)


@pytest.fixture
def store(root: DataRoot) -> Store:
    return BOTTLENECK.store(root)


def fill(store: Store, shards: Sequence[Sequence[int]]) -> Manifest:
    paths = [add_bottlenecks(store, numbers, 2, 6) for numbers in shards]
    return manifest_of("bottleneck", sum(map(len, shards)), paths)


def test_rows_are_in_order_of_keys_and_every_column_is_of_the_same_photo(root: DataRoot, store: Store) -> None:
    snapshot(root, range(COUNT))
    photos = load_photos("snap", fill(store, [range(20), range(20, COUNT)]), BOTTLENECK, root)
    number_of = {key_of(number): number for number in range(COUNT)}
    assert photos.sha256 == sorted(number_of)
    assert photos.labels == ("Tulpen", "a daisy", "roses")
    for place, key in enumerate(photos.sha256):
        number = number_of[key]
        assert photos.labels[photos.truth[place]] == label_of(number)
        assert photos.paths[place] == f"{label_of(number)}/{number}.jpg"
        np.testing.assert_array_equal(read(photos.vectors)[place], vectors_of(number, 2, 6))


def test_what_is_stored_in_float16_is_read_as_float32(root: DataRoot) -> None:
    snapshot(root, range(COUNT))
    half = replace(BOTTLENECK, dtype="float16")
    store = half.store(root)
    with ShardWriter(store) as sink:
        sink.add([key_of(number) for number in range(COUNT)], np.stack([vectors_of(n, 2, 6) for n in range(COUNT)]))
    photos = load_photos("snap", manifest_of("bottleneck", COUNT, store.shards()), half, root)
    vectors = read(photos.vectors)
    assert vectors.dtype == np.float32
    for number in range(COUNT):
        rounded = vectors_of(number, 2, 6).astype(np.float16)
        np.testing.assert_array_equal(vectors[photos.sha256.index(key_of(number))], rounded)


def test_each_photo_is_of_the_split_that_its_key_and_label_give(root: DataRoot, store: Store) -> None:
    snapshot(root, range(COUNT))
    photos = load_photos("snap", fill(store, [range(COUNT)]), BOTTLENECK, root)
    expected = assign_splits(photos.sha256, [photos.labels[truth] for truth in photos.truth])
    assert photos.splits.names == expected.names
    for split in ("train", "validation", "test"):
        assert photos.of(split).tolist() == [name == split for name in expected.names]
        assert photos.of(split).any()


def test_conflicts_and_duplicates_are_left_out(root: DataRoot, store: Store) -> None:
    duplicate = {"sha256": key_of(0), "path": "a daisy/z.jpg", "label": "a daisy", "bytes": 1, "conflict": False}
    conflict = {"sha256": key_of(99), "path": "roses/x.jpg", "label": "roses", "bytes": 1, "conflict": True}
    snapshot(root, range(COUNT), [{**duplicate, "duplicate_of": "a daisy/0.jpg"}, conflict])
    manifest = replace(fill(store, [[*range(COUNT), 99]]), photos=COUNT)
    photos = load_photos("snap", manifest, BOTTLENECK, root)
    assert photos.sha256 == sorted(map(key_of, range(COUNT)))
    assert "a daisy/z.jpg" not in photos.paths


def test_photos_that_could_not_be_decoded_are_left_out(root: DataRoot, store: Store) -> None:
    snapshot(root, range(COUNT))
    photos = load_photos("snap", fill(store, [range(COUNT - 3)]), BOTTLENECK, root)
    assert photos.sha256 == sorted(map(key_of, range(COUNT - 3)))
    assert len(photos.vectors) == len(photos.truth) == len(photos.paths) == len(photos.splits.ids) == COUNT - 3


def test_other_datasets_photos_in_the_same_shards_are_left_out(root: DataRoot, store: Store) -> None:
    snapshot(root, range(COUNT))
    manifest = replace(fill(store, [range(COUNT + 50)]), photos=COUNT)
    assert len(load_photos("snap", manifest, BOTTLENECK, root).sha256) == COUNT


def test_photo_that_is_in_two_shards_is_taken_once(root: DataRoot, store: Store) -> None:
    snapshot(root, range(COUNT))
    manifest = replace(fill(store, [range(COUNT), range(5, 10)]), photos=COUNT)
    photos = load_photos("snap", manifest, BOTTLENECK, root)
    np.testing.assert_array_equal(read(photos.vectors)[photos.sha256.index(key_of(7))], vectors_of(7, 2, 6))
    assert len(photos.sha256) == COUNT


def test_lost_shard_is_an_error_that_says_what_to_delete(root: DataRoot, store: Store) -> None:
    snapshot(root, range(COUNT))
    manifest = fill(store, [range(20), range(20, COUNT)])
    (store.folder / manifest.shards[1]).unlink()
    with pytest.raises(StoreError, match=r"(?i)delete .*manifests"):
        load_photos("snap", manifest, BOTTLENECK, root)


def test_fewer_photos_than_the_manifest_says_are_an_error_with_both_counts(root: DataRoot, store: Store) -> None:
    snapshot(root, range(COUNT))
    with pytest.raises(StoreError, match=f"has 20 of {COUNT} photos"):
        load_photos("snap", replace(fill(store, [range(20)]), photos=COUNT), BOTTLENECK, root)


def test_photo_with_one_of_two_views_counts_as_lost(root: DataRoot, store: Store) -> None:
    snapshot(root, range(COUNT))
    manifest = manifest_of("bottleneck", COUNT, [add_bottlenecks(store, range(COUNT), 1, 6)])
    with pytest.raises(StoreError, match=f"has 0 of {COUNT} photos"):
        load_photos("snap", manifest, BOTTLENECK, root)


def test_label_with_too_few_photos_left_is_an_error(root: DataRoot, store: Store) -> None:
    snapshot(root, range(COUNT))
    kept = [number for number in range(COUNT) if number % 3 or number < 6]
    with pytest.raises(DatasetError, match=r"'a daisy' \(2\)"):
        load_photos("snap", fill(store, [kept]), BOTTLENECK, root)
