"""t-SNE: a map in two dimensions on which vectors that lie near each other stay near each other.

van der Maaten and Hinton 2008, Visualizing data using t-SNE, without approximations: the matrices of a thousand vectors
fit into a processor's caches, so that this is faster than the quadtree of Barnes-Hut. The first steps are as Belkina et
al. 2019 recommend (Automated optimized parameters for t-SNE improve visualization and analysis of large datasets):
from the first two principal components, and at a rate proportional to the number of vectors.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

#: In the first steps, which make groups, similarities count this many times.
EXAGGERATION, EXAGGERATED_STEPS = 4.0, 50
STEPS = 250
_BLOCK = 64  # rows of a matrix that are computed together, and stay in a core's cache
_BISECTIONS = 40
_LEAST_DISTANCE = 1e-200  # of vectors that are the same
_GAINS = 0.2, 0.8, 0.01  # growth and decay of each coordinate's rate, and the least


def embed(vectors: Doubles, perplexity: float) -> Floats:
    """Embed vectors in a plane.

    Args:
        vectors: float64 [N, D], N at least 6 and D at least 2, the first columns the first principal components.
        perplexity: Effective number of neighbours, less than N - 1.

    Returns:
        Positions, float32 [N, 2]; the same for the same vectors.
    """
    similarities = joint_similarities(vectors, perplexity)
    positions: Floats = (1e-4 / vectors[:, 0].std() * vectors[:, :2]).astype(np.float32)
    update, rates = np.zeros_like(positions), np.ones_like(positions)
    rate = len(vectors) / (4 * EXAGGERATION)
    growth, decay, least = _GAINS
    for step in range(STEPS):
        early = step < EXAGGERATED_STEPS
        slope = gradient(similarities, positions, EXAGGERATION if early else 1.0)
        # A coordinate that goes on in its direction gets faster, one that turns slower (Jacobs 1988).
        rates = np.maximum(np.where(slope * update < 0, rates + growth, rates * decay), least)
        update = (0.5 if early else 0.8) * update - rate * rates * slope
        positions += update
    return positions


def joint_similarities(vectors: Doubles, perplexity: float) -> Floats:
    """Return the similarities p_ij of each pair of vectors, float32 [N, N], which sum to 1.

    p_ij is the mean of p_j|i and p_i|j over N, where p_j|i is proportional to exp(-b_i |x_i - x_j|^2), and b_i is such
    that the entropy of p_.|i is that of `perplexity` equally similar neighbours. Beyond three times as many neighbours
    p_j|i is taken as 0.
    """
    count, squares = len(vectors), (vectors**2).sum(axis=1)
    distances = squares[:, None] + squares - 2 * vectors @ vectors.T
    np.fill_diagonal(distances, np.inf)
    near = min(count - 1, int(3 * perplexity) + 1)
    nearest = np.argpartition(distances, near - 1, axis=1)[:, :near]
    distances = np.take_along_axis(distances, nearest, axis=1)
    distances -= distances.min(axis=1, keepdims=True)
    low, high = np.zeros((count, 1)), np.full((count, 1), np.inf)
    precision = 1 / np.maximum(distances.mean(axis=1, keepdims=True), _LEAST_DISTANCE)
    for _ in range(_BISECTIONS):
        kernel = np.exp(-precision * distances)
        total = kernel.sum(axis=1, keepdims=True)
        entropy = np.log(total) + precision * (kernel * distances).sum(axis=1, keepdims=True) / total
        wide = entropy > np.log(perplexity)
        low, high = np.where(wide, precision, low), np.where(wide, high, precision)
        precision = np.where(np.isinf(high), 2 * precision, (low + high) / 2)
    similarities = np.zeros((count, count))
    np.put_along_axis(similarities, nearest, kernel / total, axis=1)
    return ((similarities + similarities.T) / (2 * count)).astype(np.float32)


def gradient(similarities: Floats, positions: Floats, exaggeration: float) -> Floats:
    """Return the gradient of the Kullback-Leibler divergence with respect to the positions, float32 [N, 2].

    With w_ij = 1 / (1 + |y_i - y_j|^2) and Z their sum over i != j, it is
    4 sum_j (e p_ij - w_ij / Z) w_ij (y_i - y_j) = 4 (y_i sum_j f_ij - sum_j f_ij y_j), where f_ij are the products.
    Both sums are one matrix product with the columns y and 1; i = j cancels.

    Args:
        similarities: p_ij, float32 [N, N].
        positions: y_i, float32 [N, 2].
        exaggeration: The factor e of the similarities.
    """
    squares, ones = (positions**2).sum(axis=1, keepdims=True), np.ones((len(positions), 1), np.float32)
    with_ones = np.hstack([positions, ones])
    # 1 + |y_i - y_j|^2 as one product: (-2 y_i, |y_i|^2 + 1, 1) (y_j, 1, |y_j|^2).
    rows, columns = np.hstack([-2 * positions, squares + 1, ones]), np.hstack([with_ones, squares]).T
    attraction, repulsion = np.empty_like(with_ones), np.empty_like(with_ones)
    total = 0.0
    for start in range(0, len(positions), _BLOCK):
        block = slice(start, start + _BLOCK)
        weights = np.reciprocal(rows[block] @ columns)
        total += float((weights @ ones).sum())  # the product is several times as fast as a sum of all
        attraction[block] = (weights * similarities[block]) @ with_ones
        repulsion[block] = np.square(weights, out=weights) @ with_ones
    forces = exaggeration * attraction - repulsion / (total - len(positions))
    return np.asarray(4 * (positions * forces[:, 2:] - forces[:, :2]), np.float32)
