"""What bottlenecks are stored in: float32, as they are computed, or float16, which takes half of the bytes.

float16 (IEEE 754 binary16) keeps 11 bits of a number, at most 65,504 in magnitude: from 0.00006 on, rounding moves a
number by 1 in 2,048 at most. Heads are trained on float32 that is made of what is stored, and predictors round as a
store does, so that a photo has the same bottleneck whether it is read or computed.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from tasks.errors import BackboneError, SettingError

Dtype = Literal["float32", "float16"]
DTYPES: tuple[str, ...] = get_args(Dtype)

Stored = npt.NDArray[np.float32 | np.float16]


def to_stored(vectors: npt.NDArray[np.float32], dtype: str, whose: Sequence[str]) -> Stored:
    """Round bottlenecks to the nearest ones that can be stored.

    Args:
        vectors: float32 [N, V, D].
        dtype: What they are stored in, one of `DTYPES`.
        whose: How an error names each photo, N.

    Returns:
        float32 [N, V, D], unchanged and unchecked; or float16 [N, V, D], all of them finite.

    Raises:
        SettingError: A number is beyond those of float16.
        BackboneError: A number is infinite or none; looked for where it is rounded.
    """
    if dtype == "float32":
        return vectors
    with np.errstate(over="ignore"):
        stored = vectors.astype(np.float16)
    finite = np.isfinite(stored)
    if not finite.all():
        place = int(finite.all(axis=(1, 2)).argmin())
        raise _refusal(vectors[place][~finite[place]], whose[place])
    return stored


def _refusal(numbers: npt.NDArray[np.float32], whose: str) -> SettingError | BackboneError:
    """Say of the numbers of a photo's bottleneck that float16 has not, float32 [K], what is wrong with them."""
    if np.isfinite(numbers).all():
        return SettingError(
            f"The bottleneck of {whose} has the number {numbers[0]:,.0f}, and float16 ends at 65,504. Train "
            "with --bottleneck-dtype float32, which stores what this backbone computes."
        )
    return BackboneError(
        f"The bottleneck of {whose} has the number {numbers[~np.isfinite(numbers)][0]}, where finite ones are needed. "
        "Name another --scaling, --bottleneck-tensor or --precision; --bottleneck-dtype float32 stores it as it is."
    )
