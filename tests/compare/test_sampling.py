"""Drawing training photos: from the training split alone, evenly over labels; larger draws contain smaller ones."""

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


def test_a_seed_draws_the_same_photos_within_larger_draws_and_another_seed_others() -> None:
    drawn = sample_training(PHOTOS, 5, seed=1)
    np.testing.assert_array_equal(sample_training(PHOTOS, 5, seed=1), drawn)
    assert set(drawn) < set(sample_training(PHOTOS, 20, seed=1))
    assert set(drawn) != set(sample_training(PHOTOS, 5, seed=2))
