"""How many steps, at which rate, and how many of them fit into a given time."""

import time

import pytest

from tasks.quiet_tensorflow import keras
from tasks.train.schedule import LEAST_STEPS, MEASURED_STEPS, WARM_UP, Budget, NetworkRecipe, rate_at

RECIPE = NetworkRecipe("pretrained", epochs=5, batch_size=32, learning_rate=0.001, seed=0)
STEP = 0.05


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


def spend(budget: Budget, first: float = STEP) -> list[int | None]:
    """Make ten steps, of which the first one takes another time."""
    told = []
    for done in range(1, 11):
        time.sleep(first if done == 1 else STEP)
        told.append(budget.affordable(done))
    return told


def test_a_time_without_limit_foretells_nothing() -> None:
    assert set(spend(Budget(None))) == {None}


def test_the_steps_that_fit_are_foretold_once_and_the_first_step_does_not_count() -> None:
    told = spend(Budget(5.0), first=1.0)
    known = MEASURED_STEPS  # its place among the ten
    (affordable,) = [steps for steps in told if steps is not None]
    assert told[known] == affordable
    # 4 s at 50 ms each, or more on a busy machine; with the first step among them it would be 14 or fewer.
    assert 25 <= affordable <= 81


def test_where_no_time_is_left_no_further_step_fits() -> None:
    assert spend(Budget(0.0))[MEASURED_STEPS] == MEASURED_STEPS + 1
