"""Drawing training photos: from the training split alone, as many of each label, more of them around fewer."""

import numpy as np
import pytest

from tasks.compare.sampling import sample_training
from tests.compare.photos import photos_of

PHOTOS = photos_of({"daisy": 60, "roses": 40, "tulips": 12})


@pytest.mark.parametrize("size", [1, 5, 20])
def test_each_label_gives_as_many_photos_of_the_training_split_or_all_that_it_has(size: int) -> None:
    drawn = sample_training(PHOTOS, size, seed=0)
    assert PHOTOS.of("train")[drawn].all()
    available = np.bincount(PHOTOS.truth[PHOTOS.of("train")])
    np.testing.assert_array_equal(np.bincount(PHOTOS.truth[drawn]), np.minimum(available, size))
    assert len(set(drawn.tolist())) == len(drawn)


def test_all_is_the_whole_training_split() -> None:
    np.testing.assert_array_equal(sample_training(PHOTOS, 0, seed=3), np.flatnonzero(PHOTOS.of("train")))


def test_more_photos_of_a_seed_hold_the_fewer_ones() -> None:
    assert set(sample_training(PHOTOS, 5, seed=1)) < set(sample_training(PHOTOS, 20, seed=1))


def test_another_seed_draws_others_and_the_same_one_the_same() -> None:
    np.testing.assert_array_equal(sample_training(PHOTOS, 5, seed=1), sample_training(PHOTOS, 5, seed=1))
    assert set(sample_training(PHOTOS, 5, seed=1)) != set(sample_training(PHOTOS, 5, seed=2))
