"""The schedule of training a whole network: its steps, their learning rates, and its time budget."""

import math
import time
from dataclasses import dataclass
from typing import Literal

#: Least steps: a few dozen photos need more passes than a few thousand.
LEAST_STEPS = 100
#: Share of the steps in which the rate rises.
WARM_UP = 0.05
#: Steps whose time predicts that of all others; one more comes before them, in which TensorFlow traces.
MEASURED_STEPS = 3


@dataclass(frozen=True)
class NetworkRecipe:
    """Recipe of training a whole network; see `tasks.train.network_training`."""

    start: Literal["pretrained", "random"]  #: Pretrained weights, which is fine-tuning, or random ones.
    epochs: int  #: Passes over the training photos; few photos get more.
    batch_size: int  #: Photos in a step.
    learning_rate: float  #: Adam's rate after the warm-up; it falls to zero as a cosine.
    seed: int  #: Seed of the order of photos, of their mirroring, and of random weights.
    seconds: float | None = None  #: Time of the training, which may cut the steps; None is no limit.

    def steps(self, photos: int) -> int:
        """Return the number of steps without a time limit, for this number of training photos."""
        return max(math.ceil(self.epochs * photos / self.batch_size), LEAST_STEPS)


def rate_at(step: int, steps: int, peak: float) -> float:
    """Return the learning rate of a step, from 0: it rises linearly to the peak, then falls to zero as a cosine.

    That is linear warm-up and cosine decay (Loshchilov and Hutter 2017, https://arxiv.org/abs/1608.03983).
    """
    warm_up = math.ceil(WARM_UP * steps)
    if step < warm_up:
        return peak * (step + 1) / (warm_up + 1)
    return peak * (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up))) / 2


class TimeBudget:
    """Predicts, after the first few steps, the number of steps that fit into a time in seconds; None is no limit."""

    def __init__(self, seconds: float | None) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds
        self._moments: list[float] = []

    def affordable(self, done: int) -> int | None:
        """Return the number of all steps that fit, given the steps done; call it after each step.

        It is None without a limit, and after all steps but the one that completes the prediction.
        """
        self._moments.append(time.monotonic())
        if self._end is None or len(self._moments) != MEASURED_STEPS + 1:
            return None
        first, *_, now = self._moments
        return done + max(0, math.floor((self._end - now) / ((now - first) / MEASURED_STEPS)))
