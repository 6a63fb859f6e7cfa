"""The recipe `classic`: the loop of retrain.py, against a naive rewriting, and the lines it tells."""

import re
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import scipy.special

from tasks.bottleneck.quantisation import Numbers
from tasks.snapshot.splits import SPLITS
from tasks.train.classic import BalancedSampler, TrainingData, fit, read_training_data
from tasks.train.head import Floats, Head
from tasks.train.scores import Examples
from tasks.train.training_state import TrainingContext
from tests.bottleneck.pictures import numbers_of
from tests.support.progress import Tally
from tests.train.examples import (
    BOTTLENECK,
    CLASSIC,
    DISTORTED,
    STRETCHED,
    Drawn,
    assert_same_bits,
    classic,
    draw_examples,
    photos_of,
)

LABELS = ("daisy", "roses", "tulips")
STEP = BOTTLENECK.quantisation.step
#: Numbers of the last layer, which a classic head takes.
WIDTH = 6


def averages(numbers: Numbers) -> Floats:
    """Naive: the averages that numbers of 8 bits stand for."""
    return ((numbers.astype(float) * STEP) ** 2).astype(np.float32)


def draw_data(width: int = WIDTH) -> TrainingData:
    train, validation = (draw_examples((40, 15, 5), width=width, apart=3.0, seed=seed) for seed in (0, 1))
    return TrainingData(
        rows=train.numbers[:, 0],
        steps=np.full(width, STEP, np.float32),
        labels=train.labels,
        validation=Examples(averages(validation.numbers[:, :1]), validation.labels),
    )


def train(
    steps: int, learning_rate: float = 0.01, seed: int = 0, data: TrainingData | None = None, told: Tally | None = None
) -> Head:
    recipe = replace(CLASSIC, steps=steps, learning_rate=learning_rate)
    return fit(data or draw_data(), LABELS, recipe, seed, TrainingContext(told or Tally()))


def stack(head: Head) -> npt.NDArray[np.float64]:
    """Weights with the biases last: [D + 1, C]."""
    return np.vstack([head.weights, head.biases]).astype(np.float64)


def descend(
    weights: npt.NDArray[np.float64], batch: npt.NDArray[np.floating], labels: npt.NDArray[np.int64], rate: float
) -> npt.NDArray[np.float64]:
    """One naive step: `weights` is [D + 1, C] with the biases last, `batch` is [n, D]."""
    gradient = np.zeros_like(weights)
    for row, label in zip(np.pad(batch.astype(np.float64), ((0, 0), (0, 1)), constant_values=1), labels, strict=True):
        error = scipy.special.softmax(row @ weights)
        error[label] -= 1
        gradient += np.outer(row, error)
    result: npt.NDArray[np.float64] = weights - rate * gradient / len(labels)
    return result


def test_a_training_is_naive_gradient_descent_on_the_drawn_batches() -> None:
    start, head = train(steps=1, learning_rate=0), train(steps=250, learning_rate=0.05)
    data, weights = draw_data(), stack(start)
    rows = averages(data.rows)
    for done, steps in ((0, 100), (100, 100), (200, 50)):
        for batch in BalancedSampler(data.labels).draw((steps, CLASSIC.batch_size), (0, 0, done)):
            weights = descend(weights, rows[batch], data.labels[batch], 0.05)
    np.testing.assert_allclose(stack(head), weights, atol=1e-4)
    assert np.abs(head.weights - start.weights).max() > 0.1


def test_weights_begin_as_a_truncated_normal_of_deviation_a_thousandth_and_biases_at_zero() -> None:
    head = train(steps=1, learning_rate=0, data=draw_data(width=2000))
    assert np.abs(head.weights).max() <= 0.002
    # Cut off at two deviations, a normal keeps 0.88 of its deviation.
    assert head.weights.std() == pytest.approx(0.00088, rel=0.03)
    assert abs(head.weights.mean()) < 0.00005
    assert not head.biases.any()


def test_same_arguments_give_the_same_bits_and_another_seed_other_ones() -> None:
    first, second, other = (train(steps=150, seed=seed) for seed in (0, 0, 2**70))
    assert_same_bits(first, second)
    assert not np.array_equal(first.weights, other.weights)


def test_numbers_of_16_bits_keep_their_sign() -> None:
    data = draw_data()
    signed = replace(data, rows=-data.rows.astype(np.int16), steps=np.full(WIDTH, STEP / 2, np.float32))
    start, head = (train(steps=1, learning_rate=rate, data=signed) for rate in (0, 0.05))
    (batch,) = BalancedSampler(signed.labels).draw((1, CLASSIC.batch_size), (0, 0, 0))
    expected = descend(stack(start), -averages(data.rows[batch]) / 4, signed.labels[batch], 0.05)
    np.testing.assert_allclose(head.weights, expected[:-1], atol=1e-6)


def test_a_head_takes_averages_and_learns() -> None:
    head = train(steps=2000, learning_rate=0.1)
    assert not head.rooted
    assert draw_data().validation.score(head).accuracy > 0.9


def test_a_line_each_hundred_steps_and_after_the_last_one_tells_the_accuracy_on_random_validation_photos() -> None:
    head = train(steps=250, learning_rate=0.1, told=(told := Tally()))
    pattern = r"Step (\d+): validation accuracy on 20 random photos = (\d+\.\d)%"
    found = [re.fullmatch(pattern, line) for line in told.lines]
    assert [match and match[1] for match in found] == ["100", "200", "250"]
    assert (told.total, told.done, told.unit) == (250, 250, "step")
    values, labels = draw_data().validation.values, draw_data().validation.labels
    drawn = BalancedSampler(labels).draw(20, (0, 1, 200))
    accuracy = Examples(values[drawn], labels[drawn]).score(head).accuracy
    assert told.lines[-1].endswith(f" = {100 * accuracy:.1f}%")


def draw_views(views: int, photos: int = 30) -> Drawn:
    """Photos like no other in so many views of all ten numbers."""
    numbers = np.stack([numbers_of(number, views, 10) for number in range(photos)])
    return Drawn(numbers, np.arange(photos) % len(LABELS))


def test_data_are_the_last_layer_of_the_plain_view_and_each_photo_is_in_its_split() -> None:
    photos = photos_of(drawn := draw_views(views=2), LABELS, classic())
    data = read_training_data(photos, photos.of("train"), photos.of("validation"))
    numbers = [int(path.split("/")[1].removesuffix(".jpg")) for path in photos.paths]
    train, validation = ([n for n, own in zip(numbers, photos.of(name), strict=True) if own] for name in SPLITS[:2])
    np.testing.assert_array_equal(data.rows, drawn.numbers[train, 0, :WIDTH])
    assert data.labels.tolist() == [number % 3 for number in train]
    expected = averages(drawn.numbers[validation, :1, :WIDTH])
    np.testing.assert_allclose(data.validation.values, expected, rtol=1e-5)
    assert data.validation.labels.tolist() == [number % 3 for number in validation]


def test_drawn_views_are_rows_of_their_own_and_views_of_other_crops_are_none() -> None:
    how = replace(classic(), bottlenecks=(DISTORTED, STRETCHED))
    photos = photos_of(drawn := draw_views(views=7), LABELS, how)
    data = read_training_data(photos, photos.of("train"), photos.of("validation"))
    first = int(photos.paths[int(np.flatnonzero(photos.of("train"))[0])].split("/")[1].removesuffix(".jpg"))
    np.testing.assert_array_equal(data.rows[:3], drawn.numbers[first, 2:5, :WIDTH])
    assert len(data.rows) == 3 * photos.of("train").sum()
    assert data.labels[:3].tolist() == [first % 3] * 3
    assert data.validation.values.shape[1:] == (1, WIDTH)


def test_labels_are_drawn_alike_however_many_photos_they_have_and_then_their_photos() -> None:
    labels = np.array([0] * 50 + [3] * 5 + [1] * 45)
    sampler = BalancedSampler(labels)
    drawn, other = (sampler.draw((300, 100), seed) for seed in ((0, 0, 100), (0, 1, 100)))
    np.testing.assert_array_equal(sampler.draw((300, 100), (0, 0, 100)), drawn)
    assert not np.array_equal(drawn, other), "the seed decides"
    shares = np.bincount(labels[drawn.ravel()], minlength=4) / drawn.size
    np.testing.assert_allclose(shares, [1 / 3, 1 / 3, 0, 1 / 3], atol=0.01)
    each = np.bincount(drawn.ravel(), minlength=100)
    for label, count in ((0, 50), (1, 45), (3, 5)):
        expected = drawn.size / 3 / count
        np.testing.assert_allclose(each[labels == label], expected, atol=5 * expected**0.5)
