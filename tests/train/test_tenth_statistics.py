"""Statistics of tenths: summed up anew or cached and updated, they are the same bits."""

import shutil
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tasks.paths import AnyPath, to_path
from tasks.progress import NullProgress
from tasks.snapshot.splits import TENTHS
from tasks.storage.errors import DamagedError
from tasks.storage.layout import DataRoot
from tasks.train import statistics_cache
from tasks.train.photos import EmbeddedPhotos, load_photos
from tasks.train.statistics import Statistics
from tasks.train.tenth_statistics import tenth_statistics
from tests.bottleneck.pictures import add_bottlenecks, manifest_of
from tests.support.data_root import LABELS, SNAPSHOT_KEY, publish_snapshot, snapshot_row
from tests.support.progress import Tally
from tests.support.servers.object_store import ObjectStore
from tests.train.examples import BOTTLENECK, Drawn, settings, statistics_of
from tests.train.test_statistics import assert_same

UNIONS: tuple[Sequence[int], ...] = (range(TENTHS), (8,), (0, 8, 9), (0, 3, 9))


@dataclass
class Dataset:
    """Photos that are numbers, each with a label, and their bottlenecks."""

    root: DataRoot[Any]

    def embed(self, *shards: Sequence[int]) -> None:
        """Put bottlenecks into the store."""
        for numbers in shards:
            add_bottlenecks(BOTTLENECK.store(self.root), numbers, 2, 10)

    def photos(self, labels: dict[int, str], precision: str = "float32") -> EmbeddedPhotos:
        """Take a snapshot of the photos with these labels, and load it."""
        rows = [snapshot_row(number, f"{label}/{number}") for number, label in labels.items()]
        publish_snapshot(self.root, rows)
        how = settings(bottlenecks=(replace(BOTTLENECK, precision=precision),))  # type: ignore[arg-type]  # one of its own
        return load_photos(SNAPSHOT_KEY, [manifest_of("bottleneck", len(labels), [])], how, self.root)

    @property
    def cache(self) -> Any:
        """Folder of the cached statistics."""
        return self.root.statistics("flowers")

    def assert_cached(self, photos: EmbeddedPhotos) -> None:
        """Assert that the cache gives the statistics of photos, and holds no others."""
        assert_right(photos, self.cache)
        assert len([path for path in self.cache.iterdir() if path.name != ".lock"]) == 1


def named(numbers: Sequence[int]) -> dict[int, str]:
    return {number: LABELS[number % 3] for number in numbers}


@pytest.fixture
def dataset(root: DataRoot) -> Dataset:
    return Dataset(root)


@pytest.fixture
def cached(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """A dataset whose statistics are cached, however few photos it has."""
    monkeypatch.setattr("tasks.train.tenth_statistics.MAX_SUMMED", 0)
    return dataset


def unions(photos: EmbeddedPhotos, folder: AnyPath | None) -> list[Statistics]:
    with tenth_statistics(photos, folder, NullProgress()) as statistics:
        # A copy, because the next union may add to the last one.
        return [deepcopy(statistics.union(own)) for own in UNIONS]


def assert_right(photos: EmbeddedPhotos, folder: AnyPath | None) -> None:
    """Assert that unions of tenths are the statistics of their photos."""
    ((_, numbers),) = photos.features.blocks(np.ones(len(photos.sha256), bool))
    for own, statistics in zip(UNIONS, unions(photos, folder), strict=True):
        inside = photos.in_tenths(own)
        assert_same(statistics, statistics_of(Drawn(numbers[inside], photos.truth[inside]), len(photos.labels)))


@pytest.mark.parametrize("name", ["dataset", "cached"])
def test_a_union_of_tenths_has_the_photos_of_these_tenths_and_without_a_folder_leaves_nothing_behind(
    name: str, request: pytest.FixtureRequest
) -> None:
    dataset: Dataset = request.getfixturevalue(name)
    dataset.embed(range(60))
    assert_right(dataset.photos(named(range(60))), None)
    assert not dataset.cache.exists()


@pytest.mark.parametrize("most", [1_500_000_000, 1], ids=["all tenths at once", "one after the other"])
def test_cached_statistics_follow_photos_that_come_go_and_change_their_labels(
    cached: Dataset, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics_cache, "MAX_PRODUCTS", most)
    cached.embed(range(60), range(60, 80))
    runs = [
        named(range(60)),
        named(range(80)),
        named(range(7, 80)),
        named(range(7, 80)) | {10: "tulips", 20: "daisy"},
        {number: label for number, label in named(range(80)).items() if label != "roses"},
        named(range(80)) | dict.fromkeys(range(5), "a new label"),
    ]
    for labels in runs:
        cached.assert_cached(cached.photos(labels))


@hypothesis_settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.data())
def test_random_histories_end_in_the_statistics_of_a_cold_run(cached: Dataset, data: st.DataObject) -> None:
    shutil.rmtree(cached.root.path)
    order = data.draw(st.permutations(range(40)))
    cut = data.draw(st.integers(1, 39))
    cached.embed(order[:cut], order[cut:])
    few = st.dictionaries(st.integers(9, 39), st.sampled_from(LABELS), max_size=30)
    for labels in data.draw(st.lists(few, min_size=1, max_size=4)):
        photos = cached.photos(named(range(9)) | labels)
        found = unions(photos, cached.cache)
    shutil.rmtree(cached.cache)
    for one, other in zip(found, unions(photos, cached.cache), strict=True):
        assert_same(one, other)


def test_only_changes_are_summed_up(cached: Dataset) -> None:
    cached.embed(range(80))
    counts = []
    for labels in (named(range(60)), named(range(60)), named(range(2, 65)), named(range(2, 65)) | {30: "tulips"}):
        told = Tally()
        with tenth_statistics(cached.photos(labels), cached.cache, told):
            counts.append(told.done)
    # 60, none, 5 new and 2 deleted, and one that is subtracted and added.
    assert counts[:3] == [60, 0, 7]
    assert 2 <= counts[3] <= 6, "a label that changes can move photos that fill in for a split"


def test_where_bottlenecks_of_deleted_photos_are_gone_too_all_is_summed_up(cached: Dataset) -> None:
    cached.embed(range(40))
    unions(cached.photos(named(range(40))), cached.cache)
    shutil.rmtree(str(BOTTLENECK.store(cached.root).folder))
    cached.embed(range(5, 50))
    cached.assert_cached(cached.photos(named(range(5, 50))))


def test_statistics_of_other_bottlenecks_replace_the_cached_ones(cached: Dataset) -> None:
    cached.embed(range(30))
    unions(cached.photos(named(range(30))), cached.cache)
    add_bottlenecks(replace(BOTTLENECK, precision="bfloat16").store(cached.root), range(30), 2, 10)
    cached.assert_cached(cached.photos(named(range(30)), "bfloat16"))


@pytest.mark.parametrize("name", ["tenth-3.npz", "photos.parquet"])
def test_damaged_statistics_are_an_error_that_says_what_to_delete(cached: Dataset, name: str) -> None:
    cached.embed(range(40))
    unions(cached.photos(named(range(30))), cached.cache)
    (file,) = cached.cache.glob(f"*/{name}")
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(DamagedError, match=f"{name} is damaged .* Delete the folder {file.parent}"):
        unions(cached.photos(named(range(32))), cached.cache)


@pytest.mark.usefixtures("cached")
def test_statistics_are_cached_on_an_object_store_too(object_store: ObjectStore) -> None:
    remote = Dataset(DataRoot(to_path(object_store.url("data"))))
    remote.embed(range(40))
    for numbers in (range(30), range(2, 40)):
        assert_right(remote.photos(named(numbers)), remote.cache)
