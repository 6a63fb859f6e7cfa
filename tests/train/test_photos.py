"""Photos of a training: every photo's bottlenecks beside its own label, and nothing lost unnoticed."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from tasks.bottleneck.quantisation import Numbers
from tasks.errors import DatasetError, StoreError
from tasks.shards.manifests import Manifest
from tasks.shards.store import Search, ShardStore
from tasks.snapshot.splits import SPLIT_TENTHS, SPLITS, assign_splits
from tasks.storage.layout import DataRoot
from tasks.train.photos import EmbeddedPhotos, load_photos
from tests.bottleneck.pictures import add_bottlenecks, key_of, manifest_of, numbers_of
from tests.support.data_root import publish_snapshot, snapshot_row
from tests.train.examples import BOTTLENECK, STRETCHED, settings

LABELS = ("a daisy", "roses", "Tulpen")
COUNT = 30
VIEWS, WIDTH = 2, 10


def path_of(number: int) -> str:
    return f"{LABELS[number % 3]}/{number}.jpg"


@pytest.fixture(params=["held", "streamed"])
def root(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> DataRoot:
    """A data root with the snapshot of photos that are only numbers."""
    if request.param == "streamed":
        monkeypatch.setattr("tasks.train.features.MOST_HELD", 0)
    publish_snapshot(root := DataRoot(tmp_path), [snapshot_row(number, path_of(number)) for number in range(COUNT)])
    return root


@pytest.fixture
def store(root: DataRoot) -> ShardStore:
    return BOTTLENECK.store(root)


def fill(store: ShardStore, *shards: Sequence[int]) -> Manifest:
    paths = [add_bottlenecks(store, numbers, VIEWS, WIDTH) for numbers in shards]
    return manifest_of("bottleneck", sum(map(len, shards)), paths)


def load(manifest: Manifest, root: DataRoot) -> EmbeddedPhotos:
    return load_photos("snap", [manifest], settings(), root)


def read(photos: EmbeddedPhotos) -> Numbers:
    """All numbers of all photos, in their order: [N, V, D]."""
    return photos.features.read(np.ones(len(photos.sha256), bool), range(VIEWS))


def test_rows_are_in_order_of_keys_and_every_column_is_of_the_same_photo(root: DataRoot, store: ShardStore) -> None:
    photos = load(fill(store, range(20), range(20, COUNT)), root)
    assert photos.labels == ("Tulpen", "a daisy", "roses")
    expected = sorted(range(COUNT), key=key_of)
    assert photos.sha256 == [key_of(number) for number in expected]
    assert photos.paths == [path_of(number) for number in expected]
    assert [photos.labels[label] for label in photos.truth] == [LABELS[number % 3] for number in expected]
    np.testing.assert_array_equal(read(photos), [numbers_of(number, VIEWS, WIDTH) for number in expected])


def test_each_photo_is_of_the_split_that_its_key_and_label_give(root: DataRoot, store: ShardStore) -> None:
    photos = load(fill(store, range(COUNT)), root)
    expected = assign_splits(photos.sha256, [photos.labels[truth] for truth in photos.truth])
    assert photos.splits.names == expected.names
    for split in SPLITS:
        own = [name == split for name in expected.names]
        assert photos.of(split).tolist() == photos.in_tenths(SPLIT_TENTHS[split]).tolist() == own
        assert any(own)


def test_conflicts_and_duplicates_are_left_out(root: DataRoot, store: ShardStore) -> None:
    rows = [snapshot_row(number, path_of(number)) for number in range(COUNT)]
    duplicate = snapshot_row(0, "a daisy/z.jpg", duplicate_of="a daisy/0.jpg")
    publish_snapshot(root, [*rows, duplicate, snapshot_row(99, "roses/x.jpg", conflict=True)])
    photos = load(replace(fill(store, [*range(COUNT), 99]), photos=COUNT), root)
    assert photos.sha256 == sorted(map(key_of, range(COUNT)))
    assert "a daisy/z.jpg" not in photos.paths


def test_photos_that_could_not_be_decoded_are_left_out_with_one_look_into_the_store(
    root: DataRoot, store: ShardStore
) -> None:
    manifest = fill(store, range(COUNT - 3))
    with patch.object(Search, "update", autospec=True, side_effect=Search.update) as update:
        photos = load(manifest, root)
    assert update.call_count == 1
    assert photos.sha256 == sorted(map(key_of, range(COUNT - 3)))
    assert len(read(photos)) == len(photos.truth) == len(photos.paths) == len(photos.splits.ids) == COUNT - 3


def test_other_datasets_photos_in_the_same_shards_are_left_out(root: DataRoot, store: ShardStore) -> None:
    assert len(load(replace(fill(store, range(COUNT + 50)), photos=COUNT), root).sha256) == COUNT


def test_photo_that_is_in_two_shards_is_taken_once(root: DataRoot, store: ShardStore) -> None:
    photos = load(replace(fill(store, range(COUNT), range(5, 10)), photos=COUNT), root)
    np.testing.assert_array_equal(read(photos)[photos.sha256.index(key_of(7))], numbers_of(7, VIEWS, WIDTH))
    assert len(photos.sha256) == COUNT


def test_photos_that_one_of_two_stores_lacks_are_left_out_unless_its_manifest_promised_them(root: DataRoot) -> None:
    how = settings(bottlenecks=(BOTTLENECK, STRETCHED))
    numbers = (range(COUNT - 3), range(2, COUNT))
    first, second = (fill(each.store(root), own) for each, own in zip(how.bottlenecks, numbers, strict=True))
    photos = load_photos("snap", [first, second], how, root)
    assert photos.sha256 == sorted(map(key_of, range(2, COUNT - 3)))
    assert photos.features.complete.all()
    assert photos.features.shape == (COUNT - 5, 4, WIDTH)
    with pytest.raises(StoreError, match=f"has {COUNT - 2} of {COUNT} photos"):
        load_photos("snap", [first, replace(second, photos=COUNT)], how, root)


def test_lost_shard_is_an_error_with_both_counts_that_says_what_to_delete(root: DataRoot, store: ShardStore) -> None:
    manifest = fill(store, range(20), range(20, COUNT))
    (store.folder / manifest.shards[1]).unlink()
    with pytest.raises(StoreError, match=rf"has 20 of {COUNT} photos.*Delete .*manifests"):
        load(manifest, root)


def test_photo_with_one_of_two_views_counts_as_lost(root: DataRoot, store: ShardStore) -> None:
    photos = load(manifest_of("bottleneck", COUNT, [add_bottlenecks(store, range(COUNT), 1, WIDTH)]), root)
    with pytest.raises(StoreError, match=f"has 0 of {COUNT} photos"):
        read(photos)


def test_label_with_too_few_photos_left_is_an_error(root: DataRoot, store: ShardStore) -> None:
    with pytest.raises(DatasetError, match=r"'a daisy' \(2\)"):
        load(fill(store, [number for number in range(COUNT) if number % 3 or number < 6]), root)
