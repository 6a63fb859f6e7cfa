"""Features: numbers of several stores side by side, whatever shards they lie in, read whole or block by block."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from tasks.bottleneck.settings import BottleneckSettings, Distortion
from tasks.errors import StoreError
from tasks.storage.layout import DataRoot
from tasks.train import features as module
from tasks.train.features import Features, columns_of, head_values, read_values
from tasks.train.settings import TrainSettings
from tests.bottleneck.pictures import key_of, keys_of
from tests.train.examples import BACKBONE, BOTTLENECK, CLASSIC, settings

OTHER = replace(
    BOTTLENECK, backbone=replace(BACKBONE, name="other", kind="keras_application", layers=("",), widths=(3,))
)
SQUEEZED = replace(BOTTLENECK, backbone=replace(BACKBONE, crop="stretch"))
COUNT = 30


def numbers_in(store: BottleneckSettings, number: int) -> npt.NDArray[np.integer]:
    """What a store has of a photo that is only a number: [V, D]."""
    limits = np.iinfo(store.quantisation.dtype)
    random = np.random.default_rng((number, len(store.backbone.name), len(store.backbone.crop)))
    return random.integers(limits.min, limits.max, (store.all_views, store.backbone.width), limits.dtype)


def fill(root: DataRoot, store: BottleneckSettings, shards: Sequence[Sequence[int]]) -> None:
    for numbers in shards:
        own = store.store(root)
        rows = [
            {"sha256": key_of(number), "view": view, "bottleneck": vector}
            for number in numbers
            for view, vector in enumerate(numbers_in(store, number))
        ]
        own.append(pa.Table.from_pylist(rows, own.schema))


def shuffled(seed: int, shards: int) -> list[list[int]]:
    order = np.random.default_rng(seed).permutation(COUNT)
    return [part.tolist() for part in np.array_split(order, shards)]


def number_of(keys: pa.Array) -> list[int]:
    known = {key_of(number): number for number in range(COUNT)}
    return [known[key] for key in keys.to_pylist()]


@pytest.fixture(params=["held", "streamed"])
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataRoot:
    if request.param == "streamed":
        monkeypatch.setattr(module, "MOST_HELD", 0)
        monkeypatch.setattr(module, "BLOCK_PHOTOS", 4)
    return DataRoot(tmp_path)


def read_all(features: Features) -> npt.NDArray[np.integer]:
    everything = np.ones(features.shape[0], bool)
    return features.read(everything, range(features.shape[1]), np.ones(features.shape[2], bool))


def test_photos_lie_in_the_order_of_their_keys_whatever_shards_they_are_in(root: DataRoot) -> None:
    fill(root, BOTTLENECK, shuffled(1, 4))
    keys = keys_of(range(COUNT))
    features = Features(keys, settings(), root)
    assert features.there.all()
    assert features.shape == (COUNT, 2, 10)
    expected = np.stack([numbers_in(BOTTLENECK, number) for number in number_of(keys)])
    np.testing.assert_array_equal(read_all(features), expected)


def test_several_backbones_stand_side_by_side_and_several_crops_are_further_views(root: DataRoot) -> None:
    stores = (BOTTLENECK, SQUEEZED, OTHER, replace(OTHER, backbone=replace(OTHER.backbone, crop="stretch")))
    for seed, store in enumerate(stores):
        fill(root, store, shuffled(seed, 1 + seed))
    how = settings(bottlenecks=stores)
    keys = keys_of(range(COUNT))
    features = Features(keys, how, root)
    assert features.shape == (COUNT, 4, 13)
    assert features.columns.last.tolist() == [True] * 6 + [False] * 4 + [True] * 3
    found = read_all(features)
    for place, number in enumerate(number_of(keys)):
        first, second, third, fourth = (numbers_in(store, number) for store in stores)
        np.testing.assert_array_equal(found[place, :2], np.concatenate([first, third], axis=1))
        np.testing.assert_array_equal(found[place, 2:], np.concatenate([second, fourth], axis=1))
    assert how.predicting_views == (0, 1, 2, 3)


def test_a_photo_counts_as_there_if_every_store_has_it(root: DataRoot) -> None:
    fill(root, BOTTLENECK, [range(20)])
    fill(root, OTHER, [range(10, COUNT)])
    keys = keys_of(range(COUNT))
    features = Features(keys, settings(bottlenecks=(BOTTLENECK, OTHER)), root)
    assert sorted(np.array(number_of(keys))[features.there]) == list(range(10, 20))
    (read, *_) = [block.places for block in features.blocks(features.there)]
    assert set(read) <= set(np.flatnonzero(features.there))


def test_a_store_that_has_less_than_its_manifest_says_is_damaged(root: DataRoot) -> None:
    fill(root, BOTTLENECK, [range(20)])
    features = Features(keys_of(range(COUNT)), settings(), root)
    features.check([20])
    with pytest.raises(StoreError, match="has 20 of 21 photos"):
        features.check([21])


def test_some_photos_views_and_numbers_are_read_alone(root: DataRoot) -> None:
    fill(root, BOTTLENECK, shuffled(2, 3))
    keys = keys_of(range(COUNT))
    which = np.arange(COUNT) % 3 == 0
    columns = np.arange(10) % 2 == 1
    found = Features(keys, settings(), root).read(which, (1,), columns)
    expected = [numbers_in(BOTTLENECK, number)[1:, 1::2] for number in np.array(number_of(keys))[which]]
    np.testing.assert_array_equal(found, np.stack(expected))


def test_a_head_of_lda_takes_square_roots_and_a_classic_one_averages_of_the_last_layer_and_the_plain_view(
    root: DataRoot,
) -> None:
    fill(root, BOTTLENECK, [range(COUNT)])
    keys, everything = keys_of(range(COUNT)), np.ones(COUNT, bool)
    stored = np.stack([numbers_in(BOTTLENECK, number) for number in number_of(keys)])
    roots = stored * (6**0.5 / 255)
    for how, expected in ((settings(), roots), (TrainSettings((BOTTLENECK,), CLASSIC, 0), roots[:, :1, :6] ** 2)):
        features = Features(keys, how, root)
        np.testing.assert_allclose(read_values(features, everything), expected, rtol=1e-5)
        np.testing.assert_allclose(head_values(stored, how, columns_of(how)), expected, rtol=1e-5)


def test_numbers_below_zero_keep_their_sign() -> None:
    columns = columns_of(settings(bottlenecks=(OTHER,)))
    numbers = np.array([[-512, 0, 256]], np.int16)
    assert columns.values(numbers, slice(None), rooted=True).tolist() == [[-2, 0, 1]]
    assert columns.values(numbers, slice(None), rooted=False).tolist() == [[-4, 0, 1]]


def test_views_that_were_drawn_train_and_do_not_predict() -> None:
    drawn = Distortion(3, flip_left_right=True, random_crop=0, random_scale=0, random_brightness=0, seed=0)
    distorted = replace(BOTTLENECK, distortion=drawn)
    how = settings(bottlenecks=(distorted, SQUEEZED))
    assert how.predicting_views == (0, 1, 5, 6)
    assert how.training_views == tuple(range(7))
    assert TrainSettings((distorted,), CLASSIC, 0).training_views == (2, 3, 4)
