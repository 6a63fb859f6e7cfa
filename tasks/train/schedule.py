"""How long a whole network is trained, and at which rate each step is made."""

import math
import time
from dataclasses import dataclass
from typing import Literal

#: Steps at least: a few dozen photos need more passes than a few thousand to come as far.
LEAST_STEPS = 100
#: Share of the steps in which the rate rises.
WARM_UP = 0.05
#: Steps whose time foretells that of the others; one more is made before them, in which TensorFlow traces.
MEASURED_STEPS = 3


@dataclass(frozen=True)
class NetworkRecipe:
    """How a whole network is trained; see `tasks.train.network_training`.

    Args:
        start: Whether it starts from the pretrained weights, which is fine-tuning, or from random ones.
        epochs: Passes over the training photos; few photos get more.
        batch_size: Photos in a step.
        learning_rate: Adam's rate after the first steps; it falls to zero as a cosine.
        seed: Of the order of photos, of their mirroring, and of random weights.
        seconds: What the training may take; where that is too little, fewer steps are made. None is no limit.
    """

    start: Literal["pretrained", "random"]
    epochs: int
    batch_size: int
    learning_rate: float
    seed: int
    seconds: float | None = None

    def steps(self, photos: int) -> int:
        """How many steps so many training photos get where there is no limit."""
        return max(math.ceil(self.epochs * photos / self.batch_size), LEAST_STEPS)


def rate_at(step: int, steps: int, peak: float) -> float:
    """Tell the learning rate of a step: it rises in a straight line, and then falls to zero as a cosine.

    Args:
        step: The step, from 0.
        steps: How many there are.
        peak: The highest rate.
    """
    rising = math.ceil(WARM_UP * steps)
    if step < rising:
        return peak * (step + 1) / (rising + 1)
    return peak * (1 + math.cos(math.pi * (step - rising) / (steps - rising))) / 2


class TimeBudget:
    """Foretells, after the first few steps, how many there can be in the time that is given.

    Args:
        seconds: The time, which runs from now on; None is no limit.
    """

    def __init__(self, seconds: float | None) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds
        self._moments: list[float] = []

    def affordable(self, done: int) -> int | None:
        """Tell how many steps there can be in all; call it after each.

        Args:
            done: Steps that are done.

        Returns:
            None where there is no limit, and after all steps but the one after which it is known.
        """
        self._moments.append(time.monotonic())
        if self._end is None or len(self._moments) != MEASURED_STEPS + 1:
            return None
        first, *_, now = self._moments
        return done + max(0, math.floor((self._end - now) / ((now - first) / MEASURED_STEPS)))
