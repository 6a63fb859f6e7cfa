"""The map of the bottlenecks: its photos, their positions, and the drawing on the page."""

from pathlib import Path

import numpy as np
import pytest

from tasks.errors import StoreError
from tasks.evaluate.predictions import PredictedPhotos
from tasks.report.gallery import select_photos
from tasks.report.map import BottleneckMap, MapPoint, _principal_components, embed_in_plane, read_vectors
from tests.bottleneck.pictures import key_of, numbers_of
from tests.support.data_root import LABELS, draw_photos, draw_probabilities, stage_run
from tests.train.examples import BOTTLENECK, classic, settings


def predicted(counts: tuple[int, ...] = (400, 400, 400)) -> PredictedPhotos:
    return PredictedPhotos(draw_photos(counts), draw_probabilities(sum(counts), 3))


def test_mistakes_come_first_then_other_test_photos_then_any() -> None:
    photos = predicted()
    test, mistakes = photos.photos.of("test"), photos.mistakes
    assert 50 < mistakes.sum() < 100
    assert 0 < (test & ~mistakes).sum() <= 50
    points = select_photos(photos, (), map_points=200).map_points
    assert len(points) == len(set(points)) == 200
    assert set(np.flatnonzero(test)) <= set(points)
    few = select_photos(photos, (), map_points=100).map_points
    assert mistakes[list(few)].sum() == 50
    assert set(np.flatnonzero(test & ~mistakes)) <= set(few)
    assert select_photos(photos, (), map_points=1201).map_points == list(range(1200))


def test_the_plain_views_are_read_in_the_order_of_the_keys(tmp_path: Path) -> None:
    root = stage_run(tmp_path, draw_photos((10, 10, 10))).root
    numbers = (5, 2, 17)
    roots = [numbers_of(number, 2, 10)[0] * np.float32(BOTTLENECK.quantisation.step) for number in numbers]
    keys = [key_of(number) for number in numbers]
    np.testing.assert_allclose(read_vectors(keys, settings(), root), roots, rtol=1e-6)
    last = BOTTLENECK.backbone.widths[0]
    np.testing.assert_allclose(read_vectors(keys, classic(), root), [root[:last] for root in roots], rtol=1e-6)
    with pytest.raises(StoreError, match="2 of 3 photos"):
        read_vectors([key_of(5), key_of(2), key_of(99)], settings(), root)


def test_groups_that_lie_apart_stay_apart_and_lie_where_they_did() -> None:
    group = np.repeat([0, 1], 40)
    vectors = (np.random.default_rng(0).random((80, 20)) + 10 * group[:, None]).astype(np.float32)
    positions, method = embed_in_plane(vectors)
    assert 0 <= positions.min() <= positions.max() <= 1
    centres = [positions[group == each].mean(axis=0) for each in (0, 1)]
    nearest = np.argmin([np.linalg.norm(positions - centre, axis=1) for centre in centres], axis=0)
    np.testing.assert_array_equal(nearest, group)
    np.testing.assert_array_equal(embed_in_plane(vectors)[0], positions)
    assert method.startswith("Bottlenecks of the plain view, square roots standardised, then by principal components")


def test_a_value_that_is_large_in_all_photos_does_not_decide() -> None:
    vectors = np.random.default_rng(2).random((60, 2)).astype(np.float32)
    large = vectors * np.array([10_000, 1], np.float32)
    np.testing.assert_allclose(embed_in_plane(vectors)[0], embed_in_plane(large)[0], atol=1e-3)


def test_a_value_that_is_the_same_in_all_photos_does_not_count() -> None:
    vectors, constant = np.random.default_rng(2).random((60, 20)).astype(np.float32), np.full((60, 1), 0.3, np.float32)
    assert constant.std(axis=0) > 0  # by rounding
    beside = _principal_components(np.hstack([vectors, constant]), 5)
    np.testing.assert_allclose(beside, _principal_components(vectors, 5), atol=1e-3)


def test_the_components_are_those_of_a_singular_value_decomposition() -> None:
    generator = np.random.default_rng(4)
    vectors = (generator.normal(size=(200, 300)) + 5 * generator.normal(size=(200, 1))).astype(np.float32)
    standardised = (vectors - vectors.mean(axis=0)) / vectors.std(axis=0)
    left, values, _ = np.linalg.svd(standardised, full_matrices=False)
    components = _principal_components(vectors, 3)
    np.testing.assert_allclose(np.abs(components[:, 0]), np.abs(left[:, 0] * values[0]), rtol=1e-3, atol=0.01)
    assert (np.take_along_axis(components, np.abs(components).argmax(axis=0)[None], 0) > 0).all()
    assert np.linalg.norm(components, axis=0) == pytest.approx(values[:3], rel=0.02)


@pytest.mark.parametrize("shape", [(6, 6), (6, 2), (40, 1)])
def test_few_photos_and_narrow_bottlenecks_have_positions_and_alike_ones_the_middle(shape: tuple[int, int]) -> None:
    positions, _ = embed_in_plane(np.random.default_rng(3).random(shape).astype(np.float32))
    assert np.isfinite(positions).all()
    assert positions.shape == (shape[0], 2)
    np.testing.assert_array_equal(embed_in_plane(np.ones((20, 6), np.float32))[0], np.full((20, 2), 0.5))


def point(x: float, y: float, label: int, predicted: int, path: str = "a.jpg") -> MapPoint:
    return MapPoint(x, y, label, "test", predicted, path)


def view(*points: MapPoint, labels: tuple[str, ...] = LABELS) -> BottleneckMap:
    return BottleneckMap(points, labels, 2 * len(points), "Made up.", ["data:"])


def test_points_are_placed_inside_the_map_also_for_the_script() -> None:
    shown = view(point(1, 0.5, 0, 0, "a"), point(0.5, 1, 0, 1, "b"), point(0, 0, 2, 2, "c"))
    assert [(mark.position, mark.wrong) for mark in shown.points] == [
        ((626, 320), False),
        ((320, 14), True),
        ((14, 626), False),
    ]
    assert shown.mistakes == 1
    assert shown.script_data()["points"] == [
        [626, 320, 0, 0, "test", "a"],
        [320, 14, 0, 1, "test", "b"],
        [14, 626, 2, 2, "test", "c"],
    ]


def test_a_few_labels_have_the_figures_colours_and_many_each_one_of_their_own() -> None:
    assert [view().colour(label) for label in (0, 1)] == ["#0072b2", "#d55e00"]
    many = view(labels=tuple(f"label {number}" for number in range(40)))
    assert len({many.colour(label) for label in range(40)}) == 40


def test_points_are_smaller_the_more_there_are() -> None:
    assert view(point(0, 0, 0, 0)).radius == 7
    assert 2.8 <= view(*[point(0, 0, 0, 0)] * 1500).radius < 4
