"""What a head is trained on: every photo's bottlenecks beside its own label, and nothing lost unnoticed."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tasks.bottleneck.quantisation import Numbers
from tasks.errors import DatasetError, StoreError
from tasks.shards.manifests import Manifest
from tasks.shards.parquet import publish_parquet
from tasks.shards.schemas import SNAPSHOT
from tasks.shards.store import ShardStore
from tasks.snapshot.splits import SPLIT_TENTHS, assign_splits
from tasks.storage.layout import DataRoot
from tasks.train.photos import EmbeddedPhotos, load_photos
from tasks.train.settings import TrainSettings
from tests.bottleneck.pictures import add_bottlenecks, key_of, manifest_of, numbers_of
from tests.train.examples import BACKBONE, BOTTLENECK, settings

LABELS = ("a daisy", "roses", "Tulpen")
COUNT = 30
VIEWS, WIDTH = 2, 10


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


@pytest.fixture(params=["held", "streamed"])
def root(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> DataRoot:
    if request.param == "streamed":
        monkeypatch.setattr("tasks.train.features.MOST_HELD", 0)
    return DataRoot(tmp_path)


@pytest.fixture
def store(root: DataRoot) -> ShardStore:
    return BOTTLENECK.store(root)


def fill(store: ShardStore, shards: Sequence[Sequence[int]]) -> Manifest:
    paths = [add_bottlenecks(store, numbers, VIEWS, WIDTH) for numbers in shards]
    return manifest_of("bottleneck", sum(map(len, shards)), paths)


def load(manifest: Manifest, root: DataRoot) -> EmbeddedPhotos:
    return load_photos("snap", [manifest], settings(), root)


def read(photos: EmbeddedPhotos) -> Numbers:
    """All numbers of all photos, in their order: [N, V, D]."""
    everything = np.ones(len(photos.sha256), bool)
    return photos.features.read(everything, range(VIEWS), np.ones(photos.features.shape[2], bool))


def test_rows_are_in_order_of_keys_and_every_column_is_of_the_same_photo(root: DataRoot, store: ShardStore) -> None:
    snapshot(root, range(COUNT))
    photos = load(fill(store, [range(20), range(20, COUNT)]), root)
    number_of = {key_of(number): number for number in range(COUNT)}
    assert photos.sha256 == sorted(number_of)
    assert photos.labels == ("Tulpen", "a daisy", "roses")
    numbers = read(photos)
    for place, key in enumerate(photos.sha256):
        number = number_of[key]
        assert photos.labels[photos.truth[place]] == label_of(number)
        assert photos.paths[place] == f"{label_of(number)}/{number}.jpg"
        np.testing.assert_array_equal(numbers[place], numbers_of(number, VIEWS, WIDTH))


def test_each_photo_is_of_the_split_that_its_key_and_label_give(root: DataRoot, store: ShardStore) -> None:
    snapshot(root, range(COUNT))
    photos = load(fill(store, [range(COUNT)]), root)
    expected = assign_splits(photos.sha256, [photos.labels[truth] for truth in photos.truth])
    assert photos.splits.names == expected.names
    for split in ("train", "validation", "test"):
        assert photos.of(split).tolist() == [name == split for name in expected.names]
        assert photos.of(split).any()
        own = [name == split for name in expected.names]
        assert photos.in_tenths(SPLIT_TENTHS[split]).tolist() == own


def test_conflicts_and_duplicates_are_left_out(root: DataRoot, store: ShardStore) -> None:
    duplicate = {"sha256": key_of(0), "path": "a daisy/z.jpg", "label": "a daisy", "bytes": 1, "conflict": False}
    conflict = {"sha256": key_of(99), "path": "roses/x.jpg", "label": "roses", "bytes": 1, "conflict": True}
    snapshot(root, range(COUNT), [{**duplicate, "duplicate_of": "a daisy/0.jpg"}, conflict])
    manifest = replace(fill(store, [[*range(COUNT), 99]]), photos=COUNT)
    photos = load(manifest, root)
    assert photos.sha256 == sorted(map(key_of, range(COUNT)))
    assert "a daisy/z.jpg" not in photos.paths


def test_photos_that_could_not_be_decoded_are_left_out(root: DataRoot, store: ShardStore) -> None:
    snapshot(root, range(COUNT))
    photos = load(fill(store, [range(COUNT - 3)]), root)
    assert photos.sha256 == sorted(map(key_of, range(COUNT - 3)))
    assert len(read(photos)) == len(photos.truth) == len(photos.paths) == len(photos.splits.ids) == COUNT - 3


def test_other_datasets_photos_in_the_same_shards_are_left_out(root: DataRoot, store: ShardStore) -> None:
    snapshot(root, range(COUNT))
    manifest = replace(fill(store, [range(COUNT + 50)]), photos=COUNT)
    assert len(load(manifest, root).sha256) == COUNT


def test_photo_that_is_in_two_shards_is_taken_once(root: DataRoot, store: ShardStore) -> None:
    snapshot(root, range(COUNT))
    manifest = replace(fill(store, [range(COUNT), range(5, 10)]), photos=COUNT)
    photos = load(manifest, root)
    np.testing.assert_array_equal(read(photos)[photos.sha256.index(key_of(7))], numbers_of(7, VIEWS, WIDTH))
    assert len(photos.sha256) == COUNT


def fill_two(root: DataRoot, first: Sequence[int], second: Sequence[int]) -> tuple[TrainSettings, list[Manifest]]:
    """Fill the stores of two crops."""
    stretched = replace(BOTTLENECK, backbone=replace(BACKBONE, crop="stretch"))
    how = settings(bottlenecks=(BOTTLENECK, stretched))
    stores = [bottleneck.store(root) for bottleneck in how.bottlenecks]
    return how, [fill(store, [numbers]) for store, numbers in zip(stores, (first, second), strict=True)]


def test_photos_that_one_of_two_stores_lacks_are_left_out(root: DataRoot) -> None:
    snapshot(root, range(COUNT))
    how, manifests = fill_two(root, range(COUNT - 3), range(2, COUNT))
    photos = load_photos("snap", manifests, how, root)
    assert photos.sha256 == sorted(map(key_of, range(2, COUNT - 3)))
    assert photos.features.there.all()
    assert photos.features.shape == (COUNT - 5, 4, WIDTH)


def test_fewer_photos_than_one_of_two_manifests_says_are_an_error(root: DataRoot) -> None:
    snapshot(root, range(COUNT))
    how, (first, second) = fill_two(root, range(COUNT), range(20))
    with pytest.raises(StoreError, match=f"has 20 of {COUNT} photos"):
        load_photos("snap", [first, replace(second, photos=COUNT)], how, root)


def test_lost_shard_is_an_error_that_says_what_to_delete(root: DataRoot, store: ShardStore) -> None:
    snapshot(root, range(COUNT))
    manifest = fill(store, [range(20), range(20, COUNT)])
    (store.folder / manifest.shards[1]).unlink()
    with pytest.raises(StoreError, match=r"(?i)delete .*manifests"):
        load(manifest, root)


def test_fewer_photos_than_the_manifest_says_are_an_error_with_both_counts(root: DataRoot, store: ShardStore) -> None:
    snapshot(root, range(COUNT))
    with pytest.raises(StoreError, match=f"has 20 of {COUNT} photos"):
        load(replace(fill(store, [range(20)]), photos=COUNT), root)


def test_photo_with_one_of_two_views_counts_as_lost(root: DataRoot, store: ShardStore) -> None:
    snapshot(root, range(COUNT))
    manifest = manifest_of("bottleneck", COUNT, [add_bottlenecks(store, range(COUNT), 1, WIDTH)])
    photos = load(manifest, root)
    with pytest.raises(StoreError, match=f"has 0 of {COUNT} photos"):
        read(photos)


def test_label_with_too_few_photos_left_is_an_error(root: DataRoot, store: ShardStore) -> None:
    snapshot(root, range(COUNT))
    kept = [number for number in range(COUNT) if number % 3 or number < 6]
    with pytest.raises(DatasetError, match=r"'a daisy' \(2\)"):
        load(fill(store, [kept]), root)
