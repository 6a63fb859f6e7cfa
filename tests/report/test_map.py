"""The map of the bottlenecks: which photos are on it, and what lies near what."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tasks.errors import StoreError
from tasks.progress import NullProgress
from tasks.report.build import build_report
from tasks.report.map import THUMBNAIL_SIDE, lay_out, read_vectors
from tasks.report.predictions import Predicted
from tasks.report.selection import choose_photos
from tasks.report.view_model import BottleneckMap
from tests.bottleneck.pictures import key_of, numbers_of
from tests.evaluate.drawing import draw_probabilities
from tests.report.laid_out import draw_photos
from tests.report.laid_out import lay_out as lay_out_root
from tests.train.examples import BOTTLENECK, classic, settings


def predicted(counts: tuple[int, ...] = (400, 400, 400)) -> Predicted:
    photos = draw_photos(counts)
    return Predicted(photos, draw_probabilities(sum(counts), 3))


def test_mistakes_come_first_then_others_of_the_test_split_then_any() -> None:
    photos = predicted()
    test, wrong = photos.photos.of("test"), photos.mistaken
    assert 50 < wrong.sum() < 100
    assert 0 < (test & ~wrong).sum() <= 50
    points = np.array(choose_photos(photos, (), points=200).points)
    assert len(points) == len(set(points.tolist())) == 200
    assert set(np.flatnonzero(test)) <= set(points.tolist())
    few = np.array(choose_photos(photos, (), points=100).points)
    assert wrong[few].sum() == 50
    assert set(np.flatnonzero(test & ~wrong)) <= set(few.tolist())


def test_fewer_photos_than_points_are_all_on_the_map() -> None:
    assert choose_photos(predicted((20, 20, 20)), (), points=1000).points == list(range(60))


def test_the_plain_views_are_read_in_the_order_that_was_asked_for(tmp_path: Path) -> None:
    root = lay_out_root(tmp_path, draw_photos((10, 10, 10))).root
    numbers = (5, 2, 17)
    roots = [numbers_of(number, 2, 10)[0] * np.float32(BOTTLENECK.quantisation.step) for number in numbers]
    keys = [key_of(number) for number in numbers]
    np.testing.assert_allclose(read_vectors(keys, settings(), root), roots, rtol=1e-6)
    last = BOTTLENECK.backbone.widths[0]
    np.testing.assert_allclose(read_vectors(keys, classic(), root), [root[:last] for root in roots], rtol=1e-6)
    with pytest.raises(StoreError, match="2 of 3 photos"):
        read_vectors([key_of(5), key_of(2), key_of(99)], settings(), root)


def test_groups_that_lie_apart_stay_apart() -> None:
    random = np.random.default_rng(0)
    group = np.repeat([0, 1], 40)
    vectors = (random.random((80, 20)) + 10 * group[:, None]).astype(np.float32)
    places, method = lay_out(vectors)
    assert places.min() >= 0
    assert places.max() <= 1
    centres = [places[group == one].mean(axis=0) for one in (0, 1)]
    nearest = np.argmin([np.linalg.norm(places - centre, axis=1) for centre in centres], axis=0)
    np.testing.assert_array_equal(nearest, group)
    assert method.startswith("Bottlenecks of the plain view, square roots standardised, then by principal components")


def test_the_same_bottlenecks_lie_where_they_did() -> None:
    vectors = np.random.default_rng(1).random((60, 12)).astype(np.float32)
    np.testing.assert_array_equal(lay_out(vectors)[0], lay_out(vectors)[0])


def test_a_number_that_is_large_in_all_photos_does_not_decide() -> None:
    random = np.random.default_rng(2)
    vectors = random.random((60, 2)).astype(np.float32)
    large = vectors.copy()
    large[:, 0] *= 10_000
    plain, scaled = (lay_out(one)[0] for one in (vectors, large))
    np.testing.assert_allclose(plain, scaled, atol=1e-3)


@pytest.mark.parametrize("shape", [(6, 6), (6, 2), (40, 1)])
def test_few_photos_and_narrow_bottlenecks_are_laid_out(shape: tuple[int, int]) -> None:
    places, _ = lay_out(np.random.default_rng(3).random(shape).astype(np.float32))
    assert np.isfinite(places).all()
    assert places.shape == (shape[0], 2)


def test_photos_that_are_all_alike_lie_in_the_middle() -> None:
    places, _ = lay_out(np.ones((20, 6), np.float32))
    np.testing.assert_array_equal(places, np.full((20, 2), 0.5))


def test_each_point_tells_of_its_photo(tmp_path: Path) -> None:
    laid_out = lay_out_root(tmp_path, draw_photos((10, 12, 14)))
    drawn = build_report(laid_out.occasion, laid_out.root, NullProgress()).map
    assert isinstance(drawn, BottleneckMap)
    assert drawn.of == len(drawn.points) == 36
    photos = laid_out.photos
    for place, point in enumerate(drawn.points):
        assert (point.path, point.label) == (photos.paths[place], photos.truth[place])
        assert point.predicted == laid_out.probabilities[place].argmax()
        assert point.split == photos.splits.names[place]
        with Image.open(io.BytesIO(point.image)) as image:
            assert image.format == "JPEG"
            assert max(image.size) <= THUMBNAIL_SIDE
