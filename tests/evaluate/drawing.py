"""Predictions drawn for the tests of evaluation."""

import numpy as np
import numpy.typing as npt

Probabilities = npt.NDArray[np.float32]


def draw_probabilities(photos: int, labels: int, seed: int = 0) -> Probabilities:
    """Draw probabilities: float32 [N, C], each row sums to 1."""
    return np.random.default_rng(seed).dirichlet([1.0] * labels, photos).astype(np.float32)
