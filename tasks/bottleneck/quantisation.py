"""The storage format of bottlenecks: whole numbers, each the signed square root of an average in fixed steps.

ReLU6 bounds an average by 6, so that 8 bits hold its square root in 255 steps. Other networks have no known bound: 16
bits hold the signed square root in steps of 1/256, of averages up to 16,384 in magnitude. The square root is the power
normalisation of Perronnin et al. 2010, https://doi.org/10.1007/978-3-642-15561-1_11: it evens out the long tail of
averaged activations, so that equal steps suit them. Whole numbers add up without rounding, which statistics need.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from tasks.backbone.backbones import Backbone
from tasks.backbone.kinds import KINDS
from tasks.errors import BackboneError

Numbers = npt.NDArray[np.uint8 | np.int16]
Floats = npt.NDArray[np.float32]


class Quantisation(NamedTuple):
    """How averages are stored as whole numbers."""

    dtype: Literal["uint8", "int16"]  #: Type of the whole numbers.
    step: float  #: Size of one step of the square root of an average.


RELU6 = Quantisation("uint8", math.sqrt(6) / 255)
UNBOUNDED = Quantisation("int16", 1 / 256)


def quantisation_of(backbone: Backbone) -> Quantisation:
    """Return how the bottlenecks of a backbone are stored."""
    return RELU6 if KINDS[backbone.kind].relu6 else UNBOUNDED


def quantise(averages: Floats, quantisation: Quantisation, names: Sequence[str]) -> Numbers:
    """Convert averages, float32 [N, ...], to the numbers that are stored: uint8 or int16 of the same shape.

    `names` are those of the N photos for messages.

    Raises:
        BackboneError: A number is not finite, or outside the range that can be stored.
    """
    limits = np.iinfo(quantisation.dtype)
    steps = np.sqrt(np.abs(averages))
    steps *= np.sign(averages) / np.float32(quantisation.step)
    np.rint(steps, out=steps)
    # In bfloat16, rounding can lift ReLU6 above 6.
    most = limits.max + (2 if quantisation is RELU6 else 0)
    good = (steps >= limits.min) & (steps <= most)
    if not good.all():
        place = int(good.reshape(len(averages), -1).all(axis=1).argmin())
        bounds = [math.copysign((bound * quantisation.step) ** 2, bound) for bound in (limits.min, limits.max)]
        raise BackboneError(
            f"The bottleneck of {names[place]} has the number {averages[place][~good[place]][0]:,.6g}, but only those "
            f"from {bounds[0]:,.0f} to {bounds[1]:,.0f} can be stored. Name another --scaling, --bottleneck-tensor or "
            "--precision."
        )
    numbers: Numbers = np.minimum(steps, limits.max).astype(quantisation.dtype)
    return numbers
