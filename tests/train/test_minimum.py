"""Brent's method finds the places that SciPy's finds, and asks for the same values."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from tasks.train.minimum import find_minimum

FUNCTIONS: dict[str, Callable[[float], float]] = {
    "parabola": lambda x: (x - 0.7) ** 2,
    "steep on one side": lambda x: math.exp(-3 * x) + 0.1 * x,
    "not smooth": lambda x: abs(x - 1.3),
    "minima in rows": lambda x: math.sin(5 * x) + 0.1 * x,
    "flat": lambda _: 1.0,
    "falling": lambda x: -x,
    "rising": lambda x: x,
    "in steps": lambda x: math.floor(20 * abs(x - 0.2)),
    "in float32": lambda x: float(np.float32((x + 0.4) ** 4 + 100)),
    "undefined on one side": lambda x: math.nan if x > 1 else -x,
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("bounds", [(-2.0, 3.0), (-3.0, 6.9), (0.0, 1e-3)])
def test_the_places_are_those_of_scipy(name: str, bounds: tuple[float, float]) -> None:
    tried: dict[str, list[float]] = {"own": [], "scipy": []}

    def watched(by: str) -> Callable[[float], float]:
        return lambda x: tried[by].append(float(x)) or FUNCTIONS[name](float(x))  # type: ignore[func-returns-value]

    found = find_minimum(watched("own"), bounds, 1e-3)
    expected = minimize_scalar(watched("scipy"), bounds=bounds, method="bounded", options={"xatol": 1e-3})
    assert tried["own"] == tried["scipy"]
    assert found == expected.x
