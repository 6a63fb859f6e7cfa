"""How many steps, at which rate, and how many of them fit into a given time."""

from dataclasses import dataclass

import pytest

from tasks.runtime.tensorflow_import import keras
from tasks.train.schedule import LEAST_STEPS, MEASURED_STEPS, WARM_UP, NetworkRecipe, TimeBudget, rate_at

RECIPE = NetworkRecipe("pretrained", epochs=5, batch_size=32, learning_rate=0.001, seed=0)
STEP = 1 / 16


@pytest.mark.parametrize(("photos", "steps"), [(3200, 500), (3201, 501), (1, LEAST_STEPS), (640, LEAST_STEPS)])
def test_epochs_are_passes_over_the_photos_and_few_photos_get_more(photos: int, steps: int) -> None:
    assert RECIPE.steps(photos) == steps


@pytest.mark.parametrize("steps", [1, 2, 10, 100, 4321])
def test_rate_rises_to_its_peak_and_falls_and_is_never_zero(steps: int) -> None:
    rates = [rate_at(step, steps, 0.01) for step in range(steps)]
    peak = rates.index(max(rates))
    assert peak <= WARM_UP * steps + 1
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert all(0 < rate <= 0.01 for rate in rates)


def test_rate_falls_as_keras_cosine_does() -> None:
    cosine = keras.optimizers.schedules.CosineDecay(0.01, 95)
    for step in (0, 1, 40, 94):
        assert rate_at(5 + step, 100, 0.01) == pytest.approx(float(cosine(step)), rel=1e-4)


@dataclass
class Clock:
    """One that stands still until it is set on."""

    now: float = 1000.0

    def monotonic(self) -> float:
        """Its time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("tasks.train.schedule.time", clock)
    return clock


def spend(clock: Clock, seconds: float | None, first: float = STEP) -> list[int | None]:
    """Make ten steps in a given time, of which the first one takes another time."""
    budget, told = TimeBudget(seconds), []
    for done in range(1, 11):
        clock.now += first if done == 1 else STEP
        told.append(budget.affordable(done))
    return told


def test_a_time_without_limit_foretells_nothing(clock: Clock) -> None:
    assert set(spend(clock, None)) == {None}


def test_the_steps_that_fit_are_foretold_once_and_the_first_step_does_not_count(clock: Clock) -> None:
    told = spend(clock, 5.0, first=1.0)
    known = MEASURED_STEPS  # its place among the ten
    (affordable,) = [steps for steps in told if steps is not None]
    assert told[known] == affordable
    # The first one, and 4 s of others.
    assert affordable == 1 + 4 / STEP


def test_where_no_time_is_left_no_further_step_fits(clock: Clock) -> None:
    assert spend(clock, 0.0)[MEASURED_STEPS] == MEASURED_STEPS + 1
