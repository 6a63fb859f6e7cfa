"""Minimum of a function of one number, by Brent's method (Brent 1973, Algorithms for minimization without derivatives).

SciPy's `minimize_scalar` of the method "bounded" finds the same to the last bit, but the import of `scipy.optimize`
takes 0.13 s of every run.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

_GOLDEN = 0.5 * (3.0 - math.sqrt(5.0))
_PRECISION = math.sqrt(2.2e-16)  # of float64, near a minimum


class _Place(NamedTuple):
    x: float
    value: float


def find_minimum(function: Callable[[float], float], bounds: tuple[float, float], tolerance: float) -> float:
    """Find where a function has a local minimum between two bounds.

    Each step goes to the lowest point of a parabola through the three best places, or by a golden section into the
    larger part where the parabola does not help.
    """
    low, high = bounds
    start = low + _GOLDEN * (high - low)
    best = second = third = _Place(start, function(start))
    step = before = 0.0
    while True:
        middle, least = 0.5 * (low + high), _PRECISION * abs(best.x) + tolerance / 3.0
        if abs(best.x - middle) <= 2.0 * least - 0.5 * (high - low):
            return best.x
        across, down = _parabola(best, second, third) if abs(before) > least else (0.0, 0.0)
        if abs(across) < abs(0.5 * down * before) and down * (low - best.x) < across < down * (high - best.x):
            before, step = step, across / down
            if best.x + step - low < 2.0 * least or high - (best.x + step) < 2.0 * least:
                step = math.copysign(least, middle - best.x)
        else:
            before = (low if best.x >= middle else high) - best.x
            step = _GOLDEN * before
        x = best.x + math.copysign(max(abs(step), least), step)
        new = _Place(x, function(x))
        if new.value <= best.value:
            low, high = (best.x, high) if x >= best.x else (low, best.x)
            best, second, third = new, best, second
            continue
        low, high = (x, high) if x < best.x else (low, x)
        if new.value <= second.value or second.x == best.x:
            second, third = new, second
        elif new.value <= third.value or third.x in (best.x, second.x):
            third = new


def _parabola(best: _Place, second: _Place, third: _Place) -> tuple[float, float]:
    """Return the way from the best place to the lowest point of the parabola, as a dividend and a positive divisor."""
    to_second = (best.x - second.x) * (best.value - third.value)
    to_third = (best.x - third.x) * (best.value - second.value)
    across = (best.x - third.x) * to_third - (best.x - second.x) * to_second
    down = 2.0 * (to_third - to_second)
    return (-across, down) if down > 0.0 else (across, -down)
