"""t-SNE against its formulas, and against scikit-learn."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.manifold import TSNE, trustworthiness
from threadpoolctl import threadpool_limits

from tasks.report.tsne import embed, gradient, joint_similarities

PERPLEXITY = 8.0


def groups(photos: int, seed: int = 0) -> NDArray[np.float64]:
    """Vectors in five groups, by principal components."""
    generator = np.random.default_rng(seed)
    vectors = generator.normal(size=(photos, 12)) + 3 * generator.normal(size=(5, 12))[generator.integers(0, 5, photos)]
    left, values, _ = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
    return np.asarray(left * values, np.float64)


def naive_similarities(vectors: NDArray[np.float64], precisions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Equations 1 of the paper, with 1 / (2 sigma^2) in the place of sigma, made symmetric."""
    conditional = np.zeros((len(vectors), len(vectors)))
    for i, (vector, precision) in enumerate(zip(vectors, precisions, strict=True)):
        for j, other in enumerate(vectors):
            conditional[i, j] = 0 if i == j else np.exp(-precision * ((vector - other) ** 2).sum())
        conditional[i] /= conditional[i].sum()
    return (conditional + conditional.T) / (2 * len(vectors))


def divergence(similarities: NDArray[np.float64], positions: NDArray[np.float64]) -> float:
    """Equations 2 to 4 of the paper: Kullback-Leibler divergence of the map."""
    weights = 1 / (1 + ((positions[:, None] - positions) ** 2).sum(axis=-1))
    np.fill_diagonal(weights, 0)
    shares = weights / weights.sum()
    counted = similarities > 0
    return float((similarities[counted] * np.log(similarities[counted] / shares[counted])).sum())


def test_similarities_are_symmetric_sum_to_1_and_have_the_effective_number_of_neighbours() -> None:
    # So few that all are among the three times as many neighbours.
    vectors = groups(20)
    similarities = joint_similarities(vectors, PERPLEXITY)
    np.testing.assert_array_equal(similarities, similarities.T)
    assert similarities.sum() == pytest.approx(1)
    assert not similarities.diagonal().any()

    def perplexity(precision: float, row: int) -> float:
        own = np.delete(np.exp(-precision * ((vectors - vectors[row]) ** 2).sum(axis=1)), row)
        return float(np.exp(-(own / own.sum() * np.log(own / own.sum())).sum()))

    grid = np.geomspace(1e-4, 1, 2_001)
    precisions = [grid[np.argmin([abs(perplexity(each, row) - PERPLEXITY) for each in grid])] for row in range(20)]
    np.testing.assert_allclose(similarities, naive_similarities(vectors, np.array(precisions)), rtol=0.02, atol=1e-6)


def test_the_gradient_is_the_slope_of_the_divergence() -> None:
    similarities = joint_similarities(groups(70), PERPLEXITY)
    positions = np.random.default_rng(1).normal(size=(70, 2)).astype(np.float32)
    slopes, step = np.zeros((70, 2)), 1e-5
    for place in np.ndindex(slopes.shape):
        shift = np.zeros(slopes.shape)
        shift[place] = step
        ends = [divergence(similarities.astype(float), positions + sign * shift) for sign in (-1, 1)]
        slopes[place] = (ends[1] - ends[0]) / (2 * step)
    np.testing.assert_allclose(gradient(similarities, positions, 1.0), slopes, atol=1e-5)


@pytest.mark.parametrize("photos", [7, 60, 300])
def test_a_map_keeps_neighbours_as_scikit_learn_s_does(photos: int) -> None:
    vectors, near = groups(photos), min(30.0, (photos - 1) / 3)
    ours = embed(vectors, near)
    # Its threads wait for each other in loops, which takes long beside other tests.
    with threadpool_limits(1):
        theirs = TSNE(init="pca", perplexity=near, random_state=0).fit_transform(vectors)
    kept, expected = (trustworthiness(vectors, each, n_neighbors=min(12, photos // 2 - 1)) for each in (ours, theirs))
    assert kept > expected - 0.01
    similarities = joint_similarities(vectors, near).astype(float)
    assert divergence(similarities, ours.astype(float)) < 1.1 * divergence(similarities, theirs) + 0.02


@pytest.mark.parametrize(("different", "copies"), [(20, 3), (3, 40)])
def test_vectors_that_are_the_same_are_placed(different: int, copies: int) -> None:
    vectors = np.repeat(groups(20)[:different], copies, axis=0)
    positions = embed(vectors, 19.0)
    assert np.isfinite(positions).all()
    np.testing.assert_array_equal(embed(vectors, 19.0), positions)
