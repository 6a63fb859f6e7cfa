"""Calibration: the temperature that scores are divided by, so that probabilities are as frequent as they say.

Temperature scaling (Guo et al. 2017, On calibration of modern neural networks, https://arxiv.org/abs/1706.04599), on
photos that the scores were not trained on.
"""

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from tasks.train.head import Floats, probabilities

#: Temperatures that are tried.
_BOUNDS = (0.05, 1000.0)
#: What a photo counts whose label the scores tell nothing about: without it, a few photos that are all predicted
#: rightly would ask for probabilities of 1.
_UNKNOWN = 0.1


def fit_temperature(scores: Floats, labels: npt.NDArray[np.int64]) -> float:
    """Find the temperature with the least log loss.

    Args:
        scores: float32 [N, V, C] of photos that the scores were not trained on, N at least 1.
        labels: int64 [N], their labels.
    """

    def loss(logarithm: float) -> float:
        chances = np.maximum(probabilities(scores / np.float32(np.exp(logarithm))), np.finfo(np.float32).tiny)
        right = np.log(chances[np.arange(len(labels)), labels]).sum(dtype=np.float64)
        unknown = np.log(chances).mean(dtype=np.float64)
        return float(-(right + _UNKNOWN * unknown))

    found = minimize_scalar(loss, bounds=np.log(_BOUNDS), method="bounded", options={"xatol": 1e-3})
    return float(np.exp(found.x))
