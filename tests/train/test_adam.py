"""The recipe `adam`: the minimum that a naive minimisation finds, and the choice between strengths."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import scipy.optimize
import scipy.special
import sklearn.metrics

from tasks.progress import Silence
from tasks.train.adam import LEAST_STEPS, _fit, _shares, fit
from tasks.train.examples import Choice, Examples, Lesson, Watch
from tasks.train.head import Head, standardisation
from tasks.train.settings import AdamRecipe
from tests.listening import Tally
from tests.train.examples import ADAM, draw_examples, put_on_disk, read

LABELS = ("daisy", "roses", "tulips")
QUIET = Watch(Silence())

Array = npt.NDArray[np.float64]


def recipe(**changes: object) -> AdamRecipe:
    """The recipe with some of its settings changed."""
    return replace(ADAM, **changes)  # type: ignore[arg-type]  # each of its own type


def fit_all(examples: Examples, how: AdamRecipe, seed: int = 0) -> tuple[Any, Any]:
    """Fit all strengths, as `fit` does before it chooses."""
    lesson = Lesson(examples, examples, LABELS)
    return _fit(lesson, how, seed, QUIET, standardisation(examples.vectors))


def choose(train: Examples, validation: Examples, how: AdamRecipe = ADAM) -> tuple[Head, tuple[Choice, ...]]:
    """Fit all strengths and choose one."""
    return fit(Lesson(train, validation, LABELS), how, 0, QUIET)


def objective(flat: Array, rows: Array, truth: npt.NDArray[np.int64], shares: Array, l2: float) -> float:
    """The mean weighted cross-entropy and l2 / 2 times the squared weights; biases are free."""
    weights, biases = np.split(flat.reshape(-1, 3), [rows.shape[1]])
    log_probabilities = scipy.special.log_softmax(rows @ weights + biases, axis=1)
    losses = -log_probabilities[np.arange(len(truth)), truth] * shares
    return float(losses.mean() + l2 / 2 * (weights**2).sum())


@pytest.mark.parametrize("class_weights", [False, True])
def test_head_is_the_minimum_of_regularised_logistic_regression(class_weights: bool) -> None:
    examples = draw_examples((40, 15, 5))
    how = recipe(l2=(0.3,), batch_size=120, epochs=2000, learning_rate=0.02, class_weights=class_weights)
    weights, biases = fit_all(examples, how)

    rows = standardisation(examples.vectors)(read(examples.vectors)).reshape(-1, 6).astype(np.float64)
    truth = np.repeat(examples.labels, 2)
    each = {label: 60 / 3 / count for label, count in enumerate((40, 15, 5))} if class_weights else {}
    shares = np.array([each.get(label, 1.0) for label in truth.tolist()])
    found = scipy.optimize.minimize(objective, np.zeros(7 * 3), (rows, truth, shares, 0.3), method="BFGS", tol=1e-6)
    expected_weights, expected_biases = np.split(found.x.reshape(-1, 3), [6])
    np.testing.assert_allclose(weights[:, 0], expected_weights, atol=2e-4)
    # Biases are found up to a common shift, which changes no probability.
    np.testing.assert_allclose(biases[0] - biases[0].mean(), expected_biases[0] - expected_biases.mean(), atol=2e-4)


def test_strengths_side_by_side_are_each_as_if_fitted_alone() -> None:
    examples = draw_examples((30, 30, 30))
    together = fit_all(examples, recipe(l2=(0.001, 0.1, 1.0)))
    for index, l2 in enumerate((0.001, 0.1, 1.0)):
        alone = fit_all(examples, recipe(l2=(l2,)))
        np.testing.assert_allclose(together[0][:, index], alone[0][:, 0], atol=1e-4)
        np.testing.assert_allclose(together[1][index], alone[1][0], atol=1e-4)


def test_same_arguments_give_the_same_bits_and_another_seed_other_ones() -> None:
    examples = draw_examples((30, 30, 30))
    first, second, other = (fit_all(examples, ADAM, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
    assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize(
    ("validation", "best"),
    [
        (draw_examples((20, 20, 20), apart=3, seed=5), min),
        (Examples(draw_examples((20, 20, 20), seed=5).vectors, np.arange(60) % 3), max),
    ],
    ids=["alike", "random"],
)
@pytest.mark.parametrize("grid", [(0.001, 0.1, 2.0), (2.0, 0.001, 0.1)])
def test_strength_with_the_smallest_validation_log_loss_is_chosen(
    validation: Examples, best: Callable[..., float], grid: tuple[float, ...]
) -> None:
    train = draw_examples((20, 20, 20), apart=3, seed=4)
    head, choices = choose(train, validation, recipe(l2=grid))
    assert tuple(choice.l2 for choice in choices) == grid
    chosen = min(choices, key=lambda choice: choice.log_loss)
    assert head.facts["l2"] == chosen.l2 == best(grid)
    probabilities = head.probabilities(validation.vectors)
    assert chosen.log_loss == pytest.approx(sklearn.metrics.log_loss(validation.labels, probabilities), rel=1e-5)
    assert chosen.accuracy == (probabilities.argmax(axis=1) == validation.labels).mean()


def test_standardisation_is_measured_on_the_training_photos_alone() -> None:
    train, validation = draw_examples((20, 20, 20)), draw_examples((9, 9, 9), apart=50, seed=1)
    head, _ = choose(train, validation)
    expected = standardisation(train.vectors)
    assert head.standardisation is not None
    np.testing.assert_array_equal(head.standardisation.mean, expected.mean)
    np.testing.assert_array_equal(head.standardisation.deviation, expected.deviation)


def test_photo_that_a_perfect_head_gets_wrong_has_a_finite_log_loss() -> None:
    train = draw_examples((20, 20, 20), apart=30)
    far = Examples(read(train.vectors) * np.float32(1e6), (train.labels + 1) % 3)
    _, choices = choose(train, far, recipe(l2=(1e-6,), learning_rate=1.0))
    assert np.isfinite(choices[0].log_loss)


@pytest.fixture
def on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Examples], Examples]:
    monkeypatch.setattr("tasks.train.vectors.MOST_IN_MEMORY", 0)
    return lambda examples: put_on_disk(examples, tmp_path)


def test_bottlenecks_on_disk_give_the_head_of_those_in_memory(on_disk: Callable[[Examples], Examples]) -> None:
    """All of them are in each batch, so that only rounding depends on their order."""
    train, validation = draw_examples((40, 15, 5)), draw_examples((9, 9, 9), seed=1)
    how = recipe(batch_size=200, epochs=300)
    (one, one_choices), (other, other_choices) = (
        choose(each(train), each(validation), how) for each in (lambda here: here, on_disk)
    )
    assert one.facts == other.facts
    np.testing.assert_allclose(one.weights, other.weights, atol=1e-4)
    assert [choice.accuracy for choice in one_choices] == [choice.accuracy for choice in other_choices]
    assert one.standardisation is not None
    assert other.standardisation is not None
    np.testing.assert_array_equal(one.standardisation.mean, other.standardisation.mean)
    np.testing.assert_array_equal(one.standardisation.deviation, other.standardisation.deviation)


def test_training_from_disk_that_broke_off_goes_on_and_ends_with_the_same_bits(
    on_disk: Callable[[Examples], Examples], tmp_path: Path
) -> None:
    class Stopper(Silence):
        told = 0

        def advance(self, count: int) -> None:
            self.told += count
            if self.told == 17:
                raise InterruptedError

    train = on_disk(draw_examples((100, 100, 100)))
    how, lesson = recipe(batch_size=30, epochs=30), Lesson(train, train, LABELS)
    undisturbed, _ = fit(lesson, how, 0, QUIET)
    with pytest.raises(InterruptedError):
        fit(lesson, how, 0, Watch(Stopper(), tmp_path / "checkpoints"))
    resumed, _ = fit(lesson, how, 0, Watch(told := Tally(), tmp_path / "checkpoints"))
    assert told.done == 30
    np.testing.assert_array_equal(resumed.weights, undisturbed.weights)
    np.testing.assert_array_equal(resumed.biases, undisturbed.biases)


def test_class_weights_let_every_label_that_is_there_count_alike() -> None:
    labels = np.array([0, 0, 0, 0, 0, 0, 1, 1, 3])
    shares = _shares(labels, 4, recipe(class_weights=True))
    assert [float(shares[labels == label].sum()) for label in (0, 1, 3)] == pytest.approx([3, 3, 3])
    assert _shares(labels, 4, recipe(class_weights=False)).tolist() == [1] * 9


def test_few_photos_get_more_epochs_and_each_epoch_is_told() -> None:
    examples = draw_examples((20, 20, 20))
    fit(Lesson(examples, examples, LABELS), recipe(batch_size=50, epochs=7), 0, Watch(told := Tally()))
    # 60 photos in 2 views are 3 batches of 50.
    assert told.total == told.done == -(-LEAST_STEPS // 3)
    assert (told.unit, told.lines) == ("epoch", [])
