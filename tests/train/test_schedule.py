"""How many steps, at which rate, and how many of them fit into a given time."""

from types import SimpleNamespace

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


@pytest.mark.parametrize(
    ("seconds", "first", "expected"),
    [
        (None, STEP, None),
        # The first step, which does not count, and 4 s of others.
        (5.0, 1.0, 1 + 4 / STEP),
        # No step beyond those that were measured.
        (0.0, STEP, MEASURED_STEPS + 1),
    ],
)
def test_the_steps_that_fit_are_predicted_once(
    monkeypatch: pytest.MonkeyPatch, seconds: float | None, first: float, expected: int | None
) -> None:
    now = iter([1000.0, *(1000 + first + STEP * done for done in range(10))])
    monkeypatch.setattr("tasks.train.schedule.time", SimpleNamespace(monotonic=lambda: next(now)))
    if seconds is None:
        next(now)  # a time without limit is not measured from a beginning
    budget = TimeBudget(seconds)
    told = [budget.affordable(done) for done in range(1, 11)]
    assert told == [None] * MEASURED_STEPS + [expected] + [None] * (9 - MEASURED_STEPS)
