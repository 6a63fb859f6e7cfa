"""The recipe `lda`: what it chooses, and that the head says what the discriminant analysis says."""

from dataclasses import replace

import numpy as np
import pytest

from tasks.train.examples import Choice, Examples, mark
from tasks.train.features import columns_of
from tasks.train.fit_lda import Solver
from tasks.train.settings import TrainSettings
from tasks.train.statistics import Statistics
from tests.train.examples import BACKBONE, Drawn, draw_examples, settings

LABELS = ("daisy", "roses", "tulips")
CHOICE = Choice(shrinkage=0.3, layer_weight=1.0, temperature=2.0, accuracy=0, log_loss=0)
EARLIER = slice(BACKBONE.widths[0], None)


def solver(how: TrainSettings) -> Solver:
    return Solver(how.recipe, columns_of(how), LABELS)  # type: ignore[arg-type]  # `settings` gives those of lda


def statistics_of(drawn: Drawn) -> Statistics:
    found = Statistics.none(len(LABELS), drawn.numbers.shape[-1])
    found.add(drawn.numbers, drawn.labels)
    return found


def examples_of(drawn: Drawn, how: TrainSettings) -> Examples:
    return Examples(columns_of(how).values(drawn.numbers, slice(None), rooted=True), drawn.labels)


def choose(how: TrainSettings, train: Drawn, validation: Drawn) -> tuple[Choice, ...]:
    return solver(how).choose(statistics_of(train), examples_of(validation, how))


def test_the_head_that_is_chosen_is_the_one_with_the_least_log_loss_as_measured_on_the_head_itself() -> None:
    how = settings(shrinkage=(0.01, 0.1, 1.0, 10.0), layer_weights=(1.0, 0.3, 0.0))
    train, validation = draw_examples((60, 50, 40)), draw_examples((20, 20, 20), seed=1)
    choices = choose(how, train, validation)
    losses = []
    for choice in choices:
        head = solver(how).fit(statistics_of(train), choice)
        photos = examples_of(validation, how)
        found = mark(head.probabilities(photos.values), photos.labels)
        assert found.accuracy == choice.accuracy
        assert found.log_loss == pytest.approx(choice.log_loss, rel=1e-4)
        losses.append(choice.log_loss)
    assert losses == sorted(losses)
    assert len(choices) > 3


def test_leaving_earlier_layers_out_is_always_tried() -> None:
    how = settings(shrinkage=(1.0,), layer_weights=(1.0, 0.7, 0.4, 0.0))
    choices = choose(how, draw_examples((60, 50, 40)), draw_examples((20, 20, 20), seed=1))
    assert 0.0 in {choice.layer_weight for choice in choices}


def test_layers_that_mislead_are_left_out() -> None:
    """What they say of the training photos is not so of the others."""
    how = settings(shrinkage=(0.1, 1.0), layer_weights=(1.0, 0.0))
    train, validation = (draw_examples((60, 60, 60), apart=0.7, seed=seed) for seed in (0, 1))
    for drawn, shown in ((train, train.labels), (validation, (validation.labels + 1) % 3)):
        drawn.numbers[np.arange(180), :, EARLIER.start + shown] = 250
    best = choose(how, train, validation)[0]
    assert best.layer_weight == 0
    assert not solver(how).fit(statistics_of(train), best).weights[EARLIER].any()


def test_layers_that_tell_the_labels_apart_are_kept() -> None:
    how = settings(shrinkage=(0.1, 1.0), layer_weights=(1.0, 0.0))
    train, validation = (draw_examples((60, 60, 60), apart=0.3, seed=seed) for seed in (0, 1))
    for drawn in (train, validation):
        drawn.numbers[np.arange(180), :, EARLIER.start + drawn.labels] = 250
    assert choose(how, train, validation)[0].layer_weight == 1


def test_a_backbone_of_one_layer_has_nothing_to_weigh() -> None:
    bottleneck = replace(settings().bottlenecks[0], backbone=BACKBONE.last_layer)
    how = settings(bottlenecks=(bottleneck,), layer_weights=(1.0, 0.5, 0.0))
    drawn = [draw_examples((30, 30, 30), width=6, seed=seed) for seed in (0, 1)]
    assert {choice.layer_weight for choice in choose(how, *drawn)} == {1.0}


def test_scores_are_divided_by_the_temperature() -> None:
    how, known = settings(), statistics_of(draw_examples((60, 50, 40)))
    one, other = (solver(how).fit(known, replace(CHOICE, temperature=value)) for value in (1.0, 4.0))
    np.testing.assert_allclose(one.weights, 4 * other.weights, rtol=1e-6)
    np.testing.assert_allclose(one.biases, 4 * other.biases, rtol=1e-6)


def test_the_head_takes_square_roots_of_averages() -> None:
    """That is what exports compute, which know nothing of whole numbers."""
    how, drawn = settings(), draw_examples((60, 50, 40), apart=3)
    head = solver(how).fit(statistics_of(drawn), CHOICE)
    roots = drawn.numbers * np.float32(np.sqrt(6) / 255)
    assert head.rooted
    assert (head.probabilities(roots.astype(np.float32)).argmax(axis=1) == drawn.labels).mean() > 0.9


def test_class_weights_favour_rare_labels() -> None:
    drawn = draw_examples((200, 20, 20), apart=0.3)
    known = statistics_of(drawn)
    shares = []
    for class_weights in (False, True):
        how = settings(class_weights=class_weights)
        predicted = solver(how).fit(known, CHOICE).probabilities(examples_of(drawn, how).values)
        shares.append(predicted.argmax(axis=1).astype(bool).mean())
    assert shares[1] > 2 * shares[0]


def test_the_same_photos_give_the_same_bits() -> None:
    how, train, validation = settings(), draw_examples((60, 50, 40)), draw_examples((20, 20, 20), seed=1)
    heads = [solver(how).fit(statistics_of(train), choose(how, train, validation)[0]) for _ in range(2)]
    np.testing.assert_array_equal(heads[0].weights, heads[1].weights)
    np.testing.assert_array_equal(heads[0].biases, heads[1].biases)
