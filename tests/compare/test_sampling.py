"""Drawing training photos: from the training split alone, evenly over labels; larger draws contain smaller ones."""

import numpy as np
import pytest

from tasks.compare.sampling import sample_training
from tests.support.data_root import draw_photos

PHOTOS = draw_photos((60, 40, 12))


@pytest.mark.parametrize("size", [1, 5, 20, 0])
def test_each_label_gives_as_many_photos_of_the_training_split_or_all_that_it_has(size: int) -> None:
    drawn = sample_training(PHOTOS, size, seed=0)
    assert PHOTOS.of("train")[drawn].all()
    available = np.bincount(PHOTOS.truth[PHOTOS.of("train")])
    np.testing.assert_array_equal(np.bincount(PHOTOS.truth[drawn]), np.minimum(available, size or available))
    assert (np.diff(drawn) > 0).all()


def test_a_seed_draws_the_same_photos_within_larger_draws_and_another_seed_others() -> None:
    drawn = sample_training(PHOTOS, 5, seed=1)
    np.testing.assert_array_equal(sample_training(PHOTOS, 5, seed=1), drawn)
    assert set(drawn) < set(sample_training(PHOTOS, 20, seed=1))
    assert set(drawn) != set(sample_training(PHOTOS, 5, seed=2))
