"""Statistics of tenths: summed up anew or kept and brought up to date, they are the same bits."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tasks.paths import AnyPath, to_path
from tasks.progress import NullProgress
from tasks.shards.parquet import publish_parquet
from tasks.shards.schemas import SNAPSHOT
from tasks.snapshot.splits import TENTHS
from tasks.storage.errors import DamagedError
from tasks.storage.layout import DataRoot
from tasks.train import kept_statistics, tenths
from tasks.train.photos import EmbeddedPhotos, load_photos
from tasks.train.statistics import Statistics
from tasks.train.tenths import tenth_statistics
from tests.bottleneck.pictures import add_bottlenecks, key_of, manifest_of
from tests.support.progress import Tally
from tests.support.servers.object_store import ObjectStore
from tests.train.examples import BOTTLENECK, settings
from tests.train.test_statistics import assert_same

LABELS = ("daisy", "roses", "tulips")


@dataclass
class Dataset:
    """Photos that are numbers, each with a label, and their bottlenecks."""

    root: DataRoot[Any]

    def embed(self, numbers: Sequence[int]) -> None:
        """Put bottlenecks into the store, as one shard."""
        add_bottlenecks(BOTTLENECK.store(self.root), numbers, 2, 10)

    def photos(self, labels: dict[int, str]) -> EmbeddedPhotos:
        """Take a snapshot of the photos with these labels, and load it."""
        rows = [
            {"sha256": key_of(number), "path": f"{label}/{number}", "label": label, "bytes": 1, "conflict": False}
            for number, label in labels.items()
        ]
        publish_parquet(self.root.snapshot("snap"), pa.Table.from_pylist(rows, SNAPSHOT))
        return load_photos("snap", [manifest_of("bottleneck", len(labels), [])], settings(), self.root)

    @property
    def folder(self) -> Any:
        """Where statistics are kept."""
        return self.root.statistics("flowers")


def named(numbers: Sequence[int]) -> dict[int, str]:
    return {number: LABELS[number % 3] for number in numbers}


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset(DataRoot(tmp_path))


@pytest.fixture
def keeping(monkeypatch: pytest.MonkeyPatch) -> None:
    """Statistics are kept, however few photos there are."""
    monkeypatch.setattr(tenths, "MOST_SUMMED", 0)


def unions(photos: EmbeddedPhotos, folder: AnyPath | None) -> list[Statistics]:
    with tenth_statistics(photos, folder, NullProgress()) as statistics:
        return [statistics.union(own) for own in (range(TENTHS), (8,), (0, 3, 9))]


def assert_as_summed(photos: EmbeddedPhotos, found: list[Statistics]) -> None:
    for own, statistics in zip((range(TENTHS), (8,), (0, 3, 9)), found, strict=True):
        which = photos.in_tenths(own)
        expected = Statistics.none(len(photos.labels), 10)
        ((_, numbers),) = photos.features.blocks(np.ones(len(photos.sha256), bool))
        if which.any():
            expected.add(numbers[which], photos.truth[which])
        assert_same(statistics, expected)


def test_a_union_of_tenths_has_the_photos_of_these_tenths(dataset: Dataset) -> None:
    dataset.embed(range(60))
    photos = dataset.photos(named(range(60)))
    assert_as_summed(photos, unions(photos, None))
    assert not dataset.folder.exists()


@pytest.mark.usefixtures("keeping")
@pytest.mark.parametrize("most", [1_500_000_000, 1], ids=["all tenths at once", "one after the other"])
def test_kept_statistics_follow_photos_that_come_go_and_change_their_labels(
    dataset: Dataset, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_statistics, "MOST_PRODUCTS", most)
    dataset.embed(range(60))
    dataset.embed(range(60, 80))
    nights = [
        named(range(60)),
        named(range(80)),
        named(range(7, 80)),
        named(range(7, 80)) | {10: "tulips", 20: "daisy"},
        {number: label for number, label in named(range(80)).items() if label != "roses"},
        named(range(80)) | dict.fromkeys(range(5), "a new label"),
    ]
    for labels in nights:
        photos = dataset.photos(labels)
        assert_as_summed(photos, unions(photos, dataset.folder))
        assert len([path for path in dataset.folder.iterdir() if path.name != ".lock"]) == 1


@pytest.mark.usefixtures("keeping")
@hypothesis_settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.data())
def test_random_histories_end_in_the_statistics_of_a_cold_run(dataset: Dataset, data: st.DataObject) -> None:
    shutil.rmtree(dataset.root.path)
    order = data.draw(st.permutations(range(40)))
    cut = data.draw(st.integers(1, 39))
    dataset.embed(order[:cut])
    dataset.embed(order[cut:])
    few = st.dictionaries(st.integers(9, 39), st.sampled_from(LABELS), max_size=30)
    least = {number: LABELS[number % 3] for number in range(9)}
    for labels in data.draw(st.lists(few, min_size=1, max_size=4)):
        photos = dataset.photos(least | labels)
        found = unions(photos, dataset.folder)
    shutil.rmtree(dataset.folder)
    for one, other in zip(found, unions(photos, dataset.folder), strict=True):
        assert_same(one, other)


@pytest.mark.usefixtures("keeping")
def test_only_what_changed_is_summed_up(dataset: Dataset) -> None:
    dataset.embed(range(80))
    counts = []
    for labels in (named(range(60)), named(range(60)), named(range(2, 65)), named(range(2, 65)) | {30: "tulips"}):
        told = Tally()
        with tenth_statistics(dataset.photos(labels), dataset.folder, told):
            counts.append(told.done)
    # 60, none, 5 new and 2 gone, and one that goes and comes.
    assert counts[:3] == [60, 0, 7]
    assert 2 <= counts[3] <= 6, "a label that changes can move photos that fill in for a split"


@pytest.mark.usefixtures("keeping")
def test_where_bottlenecks_of_photos_that_are_gone_are_gone_too_all_is_summed_up(dataset: Dataset) -> None:
    dataset.embed(range(40))
    unions(dataset.photos(named(range(40))), dataset.folder)
    shutil.rmtree(str(BOTTLENECK.store(dataset.root).folder))
    dataset.embed(range(5, 50))
    photos = dataset.photos(named(range(5, 50)))
    assert_as_summed(photos, unions(photos, dataset.folder))


@pytest.mark.usefixtures("keeping")
def test_statistics_of_other_bottlenecks_take_the_place_of_those_that_are_there(dataset: Dataset) -> None:
    dataset.embed(range(30))
    unions(dataset.photos(named(range(30))), dataset.folder)
    other = replace(BOTTLENECK, precision="bfloat16")
    add_bottlenecks(other.store(dataset.root), range(30), 2, 10)
    how = settings(bottlenecks=(other,))
    photos = load_photos("snap", [manifest_of("bottleneck", 30, [])], how, dataset.root)
    assert_as_summed(photos, unions(photos, dataset.folder))
    assert len([path for path in dataset.folder.iterdir() if path.name != ".lock"]) == 1


@pytest.mark.usefixtures("keeping")
@pytest.mark.parametrize("name", ["tenth-3.npz", "photos.parquet"])
def test_damaged_statistics_are_an_error_that_says_what_to_delete(dataset: Dataset, name: str) -> None:
    dataset.embed(range(40))
    unions(dataset.photos(named(range(30))), dataset.folder)
    (file,) = dataset.folder.glob(f"*/{name}")
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(DamagedError, match=f"{name} is damaged .* Delete the folder {file.parent}"):
        unions(dataset.photos(named(range(32))), dataset.folder)


@pytest.mark.usefixtures("keeping")
def test_without_a_folder_nothing_is_left_behind(dataset: Dataset) -> None:
    dataset.embed(range(30))
    photos = dataset.photos(named(range(30)))
    assert_as_summed(photos, unions(photos, None))
    assert not dataset.folder.exists()


@pytest.mark.usefixtures("keeping")
def test_statistics_are_kept_on_an_object_store_too(object_store: ObjectStore) -> None:
    dataset = Dataset(DataRoot(to_path(object_store.url("data"))))
    dataset.embed(range(40))
    for numbers in (range(30), range(2, 40)):
        photos = dataset.photos(named(numbers))
        assert_as_summed(photos, unions(photos, dataset.folder))
