"""The recipe `classic`: the loop of retrain.py, against a naive rewriting, and what it says on the way."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import scipy.special

from tasks.progress import Silence
from tasks.train.classic import LabelledRows, fit
from tasks.train.examples import Choice, Examples, Lesson, Watch
from tasks.train.head import Head, validate
from tests.listening import Tally
from tests.train.examples import CLASSIC, draw_examples, put_on_disk, read

LABELS = ("daisy", "roses", "tulips")


def lesson(apart: float = 3.0) -> Lesson:
    train, validation = (draw_examples((40, 15, 5), apart=apart, seed=seed) for seed in (0, 1))
    return Lesson(train, validation.take(validation.labels >= 0, slice(1)), LABELS)


def train(steps: int, seed: int = 0, learning_rate: float = 0.01, told: Tally | None = None) -> tuple[Head, Choice]:
    recipe = replace(CLASSIC, steps=steps, learning_rate=learning_rate)
    head, (choice,) = fit(lesson(), recipe, seed, Watch(told or Tally()))
    return head, choice


def descend(weights: npt.NDArray[np.float64], drawn: Examples, rate: float) -> npt.NDArray[np.float64]:
    """One naive step: `weights` is [D + 1, C] with the biases last, `drawn` a batch of one view."""
    gradient = np.zeros_like(weights)
    for vector, label in zip(read(drawn.vectors)[:, 0], drawn.labels, strict=True):
        row = np.append(vector.astype(np.float64), 1)
        error = scipy.special.softmax(row @ weights)
        error[label] -= 1
        gradient += np.outer(row, error)
    result: npt.NDArray[np.float64] = weights - rate * gradient / len(drawn.labels)
    return result


def test_a_training_is_naive_gradient_descent_on_what_is_drawn() -> None:
    start, _ = train(steps=1, learning_rate=0)
    head, _ = train(steps=250, learning_rate=0.05)
    photos = lesson().train
    rows, labels = read(photos.vectors).reshape(-1, 1, 6), np.repeat(photos.labels, 2)
    weights = np.vstack([start.weights, start.biases]).astype(np.float64)
    for done, steps in ((0, 100), (100, 100), (200, 50)):
        for batch in LabelledRows(labels).draw((steps, CLASSIC.batch_size), (0, 0, done)):
            weights = descend(weights, Examples(rows[batch], labels[batch]), 0.05)
    np.testing.assert_allclose(head.weights, weights[:-1], atol=1e-4)
    np.testing.assert_allclose(head.biases, weights[-1], atol=1e-4)
    assert np.abs(head.weights - start.weights).max() > 0.1


def test_weights_begin_as_a_truncated_normal_of_deviation_a_thousandth_and_biases_at_zero() -> None:
    wide = Lesson(draw_examples((20, 20, 20), 2000), draw_examples((5, 5, 5), 2000), LABELS)
    head, _ = fit(wide, replace(CLASSIC, steps=1, learning_rate=0), 0, Watch(Silence()))
    assert np.abs(head.weights).max() <= 0.002
    # Cut off at two deviations, a normal keeps 0.88 of its deviation.
    assert head.weights.std() == pytest.approx(0.00088, rel=0.03)
    assert abs(head.weights.mean()) < 0.00005
    assert not head.biases.any()


def test_same_arguments_give_the_same_bits_and_another_seed_other_ones() -> None:
    (first, _), (second, _), (other, _) = (train(steps=150, seed=seed) for seed in (0, 0, 2**70))
    np.testing.assert_array_equal(first.weights, second.weights)
    np.testing.assert_array_equal(first.biases, second.biases)
    assert not np.array_equal(first.weights, other.weights)


def test_bottlenecks_on_disk_give_the_same_bits_as_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = lesson()
    monkeypatch.setattr("tasks.train.vectors.MOST_IN_MEMORY", 0)
    there = Lesson(put_on_disk(here.train, tmp_path), put_on_disk(here.validation, tmp_path), LABELS)
    (one, one_choice), (other, other_choice) = (fit(each, CLASSIC, 0, Watch(Silence())) for each in (here, there))
    np.testing.assert_array_equal(one.weights, other.weights)
    np.testing.assert_array_equal(one.biases, other.biases)
    assert one_choice == other_choice


def test_bottlenecks_are_taken_as_they_are() -> None:
    head, _ = train(steps=100)
    assert head.standardisation is None
    photos = lesson().validation
    scores = read(photos.vectors)[:, 0] @ head.weights + head.biases
    np.testing.assert_allclose(head.probabilities(photos.vectors), scipy.special.softmax(scores, axis=1), rtol=1e-5)


def test_it_learns_and_says_how_it_does_on_the_whole_validation_split() -> None:
    head, choice = train(steps=2000, learning_rate=0.1)
    assert choice == validate(head, lesson().validation)
    assert choice.accuracy > 0.9


def test_a_line_each_hundred_steps_and_after_the_last_one_tells_the_accuracy_on_random_validation_photos() -> None:
    told = Tally()
    head, _ = train(steps=250, learning_rate=0.1, told=told)
    pattern = r"Step (\d+): validation accuracy on 20 random photos = (\d+\.\d)%"
    found = [re.fullmatch(pattern, line) for line in told.lines]
    assert [match and match[1] for match in found] == ["100", "200", "250"]
    assert (told.total, told.done, told.unit) == (250, 250, "step")
    photos = lesson().validation
    drawn = LabelledRows(photos.labels).draw(20, (0, 1, 200))
    accuracy = validate(head, Examples(photos.vectors[drawn], photos.labels[drawn])).accuracy
    assert told.lines[-1].endswith(f" = {100 * accuracy:.1f}%")


def test_labels_are_drawn_alike_however_many_photos_they_have_and_then_their_photos() -> None:
    labels = np.array([0] * 50 + [3] * 5 + [1] * 45)
    drawn = LabelledRows(labels).draw((300, 100), (7,))
    shares = np.bincount(labels[drawn.ravel()], minlength=4) / drawn.size
    np.testing.assert_allclose(shares, [1 / 3, 1 / 3, 0, 1 / 3], atol=0.01)
    each = np.bincount(drawn.ravel(), minlength=100)
    for label, count in ((0, 50), (1, 45), (3, 5)):
        expected = drawn.size / 3 / count
        np.testing.assert_allclose(each[labels == label], expected, atol=5 * expected**0.5)


def test_draws_depend_on_their_seed_alone() -> None:
    rows = LabelledRows(np.arange(30) % 3)
    once = rows.draw((10, 10), (0, 0, 100))
    rows.draw((10, 10), (0, 0, 200))
    np.testing.assert_array_equal(rows.draw((10, 10), (0, 0, 100)), once)
    assert not np.array_equal(rows.draw((10, 10), (0, 1, 100)), once)
