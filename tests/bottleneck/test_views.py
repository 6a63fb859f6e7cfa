"""Views: the photo, its mirror image, and distortions that are the same whenever they are drawn."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from tasks.bottleneck.settings import Distortion
from tasks.bottleneck.views import Pixels, distort, draw_views

SIZE = 40
NONE = Distortion(views=1, flip_left_right=False, random_crop=0, random_scale=0, random_brightness=0, seed=0)
ALL = Distortion(views=3, flip_left_right=True, random_crop=10, random_scale=20, random_brightness=30, seed=0)
KEYS = [hashlib.sha256(bytes([number])).hexdigest() for number in range(200)]


def coordinates() -> Pixels:
    """A picture in which red says how far right a pixel is and green how far down; uint8 [40, 40, 3]."""
    picture = np.zeros((SIZE, SIZE, 3), np.uint8)
    picture[..., 0] = np.arange(SIZE) * 5
    picture[..., 1] = np.arange(SIZE)[:, None] * 5
    picture[..., 2] = 100
    return picture


def test_the_photo_and_its_mirror_image_come_first_and_distorted_views_follow_the_same_beside_any_photos() -> None:
    pictures = np.stack([coordinates()] * 8)
    views = draw_views(KEYS[:8], pictures, 2, ALL)
    np.testing.assert_array_equal(views[:2], [pictures, pictures[:, :, ::-1]])
    assert [(view.shape, view.dtype.name) for view in views] == [(pictures.shape, "uint8")] * 5
    for one, other in zip(draw_views(KEYS[3:4], pictures[:1], 2, ALL), views, strict=True):
        np.testing.assert_array_equal(one[0], other[3])
    assert len(draw_views(KEYS[:1], pictures[:1], 1)) == 1


@pytest.mark.parametrize("other", [(KEYS[1], 1, ALL), (KEYS[0], 2, ALL), (KEYS[0], 1, replace(ALL, seed=1))])
def test_another_photo_number_or_seed_is_another_view(other: tuple[str, int, Distortion]) -> None:
    assert not np.array_equal(distort(coordinates(), KEYS[0], 1, ALL), distort(coordinates(), *other))


def test_half_of_the_views_are_mirrored() -> None:
    flipping = replace(NONE, flip_left_right=True)
    picture = coordinates()
    drawn = [distort(picture, key, 1, flipping) for key in KEYS]
    mirrored = sum(np.array_equal(view, picture[:, ::-1]) for view in drawn)
    # Without any other distortion, a view is the photo.
    assert mirrored + sum(np.array_equal(view, picture) for view in drawn) == 200
    assert 70 <= mirrored <= 130  # within four standard deviations of 100


@pytest.mark.parametrize(("crop", "scale", "low", "high"), [(25, 0, 0.8, 0.8), (0, 60, 0.625, 1), (25, 60, 0.5, 0.8)])
def test_crop_and_scale_leave_that_share_of_a_side_at_any_place(crop: int, scale: int, low: float, high: float) -> None:
    """Red grows by 5 a column, so what is seen of it tells which part of the picture was cut out."""
    how = replace(NONE, random_crop=crop, random_scale=scale)
    reds = np.stack([distort(coordinates(), key, 1, how)[..., 0].astype(int) for key in KEYS])
    seen = (reds[:, 0, -1] - reds[:, 0, 0]) / (5 * (SIZE - 1))
    assert seen.min() == pytest.approx(low, abs=0.04)
    assert seen.max() == pytest.approx(high, abs=0.04)
    lefts = reds[:, 0, 0] / (5 * (SIZE - 1))
    assert lefts.min() < 0.03
    assert lefts.max() > (1 - low) * 0.8


def test_brightness_is_multiplied_evenly_around_one_and_clipped() -> None:
    how = replace(NONE, random_brightness=50)
    flat = np.full((8, 8, 3), 100, np.uint8)
    factors = np.array([distort(flat, key, 1, how)[0, 0, 0] / 100 for key in KEYS])
    assert factors.min() == pytest.approx(0.5, abs=0.03)
    assert factors.max() == pytest.approx(1.5, abs=0.03)
    assert factors.mean() == pytest.approx(1, abs=0.08)
    brightest = KEYS[int(factors.argmax())]
    assert (distort(np.full((8, 8, 3), 240, np.uint8), brightest, 1, how) == 255).all()


def test_one_distortion_more_leaves_the_others_as_they_were() -> None:
    cropped = distort(coordinates(), KEYS[0], 1, replace(NONE, random_crop=20))
    brighter = distort(coordinates(), KEYS[0], 1, replace(NONE, random_crop=20, random_brightness=10))
    ratio = brighter[..., 2].astype(float) / cropped[..., 2]
    assert ratio.std() < 0.01
