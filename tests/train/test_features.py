"""Features: numbers of several stores side by side, whatever shards they lie in, read whole or block by block."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tasks.bottleneck.quantisation import Numbers
from tasks.bottleneck.settings import BottleneckSettings
from tasks.storage.layout import DataRoot
from tasks.train import features as module
from tasks.train.features import Features, columns_of, head_values, read_values
from tests.bottleneck.pictures import add_vectors, key_of, keys_of
from tests.train.examples import BACKBONE, BOTTLENECK, STRETCHED, classic, settings

OTHER = replace(
    BOTTLENECK, backbone=replace(BACKBONE, name="other", kind="keras_application", layers=("",), widths=(3,))
)
COUNT = 30
KEYS = keys_of(range(COUNT))
#: Numbers of the photos, in the order of their keys.
NUMBERS = sorted(range(COUNT), key=key_of)
EVERYTHING = np.ones(COUNT, bool)


def stored(store: BottleneckSettings, number: int) -> Numbers:
    """Bottlenecks in a store of a photo that is only a number: [V, D]."""
    limits = np.iinfo(store.quantisation.dtype)
    random = np.random.default_rng((number, len(store.backbone.name), len(store.backbone.crop)))
    numbers: Numbers = random.integers(limits.min, limits.max, (store.all_views, store.backbone.width), limits.dtype)
    return numbers


def stored_all(store: BottleneckSettings) -> Numbers:
    """Bottlenecks of all photos, in the order of their keys: [N, V, D]."""
    return np.stack([stored(store, number) for number in NUMBERS])


def fill(root: DataRoot, store: BottleneckSettings, *shards: Sequence[int]) -> None:
    for numbers in shards:
        add_vectors(store.store(root), {number: stored(store, number) for number in numbers})


def fill_shuffled(root: DataRoot, store: BottleneckSettings, seed: int, shards: int) -> None:
    order = np.random.default_rng(seed).permutation(COUNT)
    fill(root, store, *(part.tolist() for part in np.array_split(order, shards)))


@pytest.fixture(params=["held", "streamed"])
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataRoot:
    if request.param == "streamed":
        monkeypatch.setattr(module, "MOST_HELD", 0)
        monkeypatch.setattr(module, "BLOCK_PHOTOS", 4)
    return DataRoot(tmp_path)


def read_all(features: Features) -> Numbers:
    return features.read(np.ones(features.shape[0], bool), range(features.shape[1]))


def test_backbones_stand_side_by_side_and_crops_are_further_views_of_photos_in_any_shards(
    root: DataRoot,
) -> None:
    stores = (BOTTLENECK, STRETCHED, OTHER, replace(OTHER, backbone=replace(OTHER.backbone, crop="stretch")))
    for seed, store in enumerate(stores):
        fill_shuffled(root, store, seed, 4 - seed)
    features = Features.find(KEYS, settings(bottlenecks=stores), root)
    assert features.complete.all()
    assert features.shape == (COUNT, 4, 13)
    assert features.columns.last.tolist() == [True] * 6 + [False] * 4 + [True] * 3
    first, second, third, fourth = map(stored_all, stores)
    expected = np.concatenate(
        [np.concatenate([first, third], axis=2), np.concatenate([second, fourth], axis=2)], axis=1
    )
    np.testing.assert_array_equal(read_all(features), expected)


def test_a_photo_is_complete_if_every_store_has_it(root: DataRoot) -> None:
    fill(root, BOTTLENECK, range(12), range(12, 20))
    fill(root, OTHER, range(10, COUNT))
    features = Features.find(KEYS, settings(bottlenecks=(BOTTLENECK, OTHER)), root)
    assert sorted(np.array(NUMBERS)[features.complete]) == list(range(10, 20))
    expected = np.concatenate([stored_all(BOTTLENECK), stored_all(OTHER)], axis=2)[features.complete]
    alone = features.filter(features.complete)
    assert alone.complete.all()
    np.testing.assert_array_equal(read_all(alone), expected)
    np.testing.assert_array_equal(features.read(features.complete, (0, 1)), expected)


def test_some_photos_views_and_numbers_are_read_alone(root: DataRoot) -> None:
    fill_shuffled(root, BOTTLENECK, seed=2, shards=3)
    selected, columns = np.arange(COUNT) % 3 == 0, np.arange(10) % 2 == 1
    found = Features.find(KEYS, settings(), root).read(selected, (1,), columns)
    np.testing.assert_array_equal(found, stored_all(BOTTLENECK)[selected, 1:, 1::2])


def test_a_head_of_lda_takes_square_roots_and_a_classic_one_averages_of_the_last_layer_and_the_plain_view(
    root: DataRoot,
) -> None:
    fill(root, BOTTLENECK, range(COUNT))
    numbers = stored_all(BOTTLENECK)
    roots = numbers * (6**0.5 / 255)
    for how, expected in ((settings(), roots), (classic(), roots[:, :1, :6] ** 2)):
        features = Features.find(KEYS, how, root)
        np.testing.assert_allclose(read_values(features, EVERYTHING), expected, rtol=1e-5)
        np.testing.assert_allclose(head_values(numbers, how, columns_of(how)), expected, rtol=1e-5)


def test_numbers_below_zero_keep_their_sign() -> None:
    columns = columns_of(settings(bottlenecks=(OTHER,)))
    numbers = np.array([[-512, 0, 256]], np.int16)
    assert columns.values(numbers, slice(None), rooted=True).tolist() == [[-2, 0, 1]]
    assert columns.values(numbers, slice(None), rooted=False).tolist() == [[-4, 0, 1]]
