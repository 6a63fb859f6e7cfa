"""The recipe `lda`: what it chooses, and that the head says what the discriminant analysis says."""

from dataclasses import replace

import numpy as np
import pytest

from tasks.train.examples import Examples, LeftOutScore, mark
from tasks.train.features import columns_of
from tasks.train.fit_lda import Sample, Solver, choose_left_out
from tasks.train.head import Head
from tasks.train.settings import TrainSettings
from tasks.train.statistics import Statistics
from tests.train.examples import BACKBONE, Drawn, draw_examples, settings

LABELS = ("daisy", "roses", "tulips")
CHOICE = LeftOutScore(shrinkage=0.3, layer_weight=1.0, temperature=2.0, accuracy=0, log_loss=0)
EARLIER = slice(BACKBONE.widths[0], None)


def solver(how: TrainSettings) -> Solver:
    return Solver.of(how, LABELS)


def statistics_of(drawn: Drawn) -> Statistics:
    found = Statistics.none(len(LABELS), drawn.numbers.shape[-1])
    found.add(drawn.numbers, drawn.labels)
    return found


def examples_of(drawn: Drawn, how: TrainSettings) -> Examples:
    return Examples(columns_of(how).values(drawn.numbers, slice(None), rooted=True), drawn.labels)


def choose(how: TrainSettings, drawn: Drawn) -> tuple[Head, tuple[LeftOutScore, ...]]:
    return solver(how).choose_from(*drawn)


def test_choices_are_made_by_photos_that_are_left_out_one_at_a_time() -> None:
    how, drawn = settings(shrinkage=(0.01, 0.1, 1.0, 10.0), layer_weights=(1.0, 0.3, 0.0)), draw_examples((30, 25, 20))
    _, choices = choose(how, drawn)
    losses = [choice.log_loss for choice in choices]
    assert losses == sorted(losses)
    assert len(choices) > 3
    everything = np.arange(len(drawn.labels))
    for choice in choices:
        told = []
        for photo in everything:
            others = Drawn(drawn.numbers[everything != photo], drawn.labels[everything != photo])
            alone = examples_of(Drawn(drawn.numbers[[photo]], drawn.labels[[photo]]), how)
            told.append(solver(how).fit(statistics_of(others), choice).probabilities(alone.values)[0])
        assert mark(np.stack(told), drawn.labels).log_loss == pytest.approx(choice.log_loss, rel=0.02)


def test_where_no_label_has_two_photos_the_search_ends_where_it_begins() -> None:
    how, drawn = settings(shrinkage=(0.01, 0.5, 10.0)), draw_examples((1, 1, 1))
    assert not choose_left_out(drawn.labels).any()
    head, choices = solver(how).choose(statistics_of(drawn), Sample(drawn.numbers[:0], drawn.labels[:0]))
    assert [(choice.shrinkage, choice.layer_weight, choice.temperature) for choice in choices] == [(0.5, 1.0, 1.0)]
    np.testing.assert_array_equal(head.weights, solver(how).fit(statistics_of(drawn), choices[0]).weights)


def test_the_head_is_that_of_the_best_choice() -> None:
    how, drawn = settings(), draw_examples((60, 50, 40))
    head, choices = choose(how, drawn)
    again = solver(how).fit(statistics_of(drawn), choices[0])
    np.testing.assert_allclose(head.weights, again.weights, rtol=1e-6)
    np.testing.assert_allclose(head.biases, again.biases, rtol=1e-6)


def test_few_photos_do_not_ask_for_certainty() -> None:
    how, others = settings(), draw_examples((200, 200, 200), apart=0.5, seed=1)
    head, _ = choose(how, draw_examples((4, 4, 4), apart=0.5))
    photos = examples_of(others, how)
    found = mark(head.probabilities(photos.values), photos.labels)
    assert found.log_loss < 1.1, "the loss of saying nothing"
    assert found.accuracy > 0.5


def test_leaving_earlier_layers_out_is_always_tried() -> None:
    how = settings(shrinkage=(1.0,), layer_weights=(1.0, 0.7, 0.4, 0.0))
    _, choices = choose(how, draw_examples((60, 50, 40)))
    assert 0.0 in {choice.layer_weight for choice in choices}


def test_layers_that_say_nothing_are_left_out() -> None:
    how = settings(shrinkage=(0.1, 1.0), layer_weights=(1.0, 0.0))
    drawn = draw_examples((9, 9, 9), apart=0.7)
    drawn.numbers[..., EARLIER] = np.random.default_rng(5).integers(0, 255, drawn.numbers[..., EARLIER].shape)
    head, choices = choose(how, drawn)
    assert choices[0].layer_weight == 0
    assert not head.weights[EARLIER].any()


def test_layers_that_tell_the_labels_apart_are_kept() -> None:
    how, drawn = settings(shrinkage=(0.1, 1.0), layer_weights=(1.0, 0.0)), draw_examples((60, 60, 60), apart=0.3)
    drawn.numbers[np.arange(180), :, EARLIER.start + drawn.labels] = 250
    assert choose(how, drawn)[1][0].layer_weight == 1


def test_a_backbone_of_one_layer_has_nothing_to_weigh() -> None:
    bottleneck = replace(settings().bottlenecks[0], backbone=BACKBONE.last_layer)
    how = settings(bottlenecks=(bottleneck,), layer_weights=(1.0, 0.5, 0.0))
    _, choices = choose(how, draw_examples((30, 30, 30), width=6))
    assert {choice.layer_weight for choice in choices} == {1.0}


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
    heads = [choose(settings(), draw_examples((60, 50, 40)))[0] for _ in range(2)]
    np.testing.assert_array_equal(heads[0].weights, heads[1].weights)
    np.testing.assert_array_equal(heads[0].biases, heads[1].biases)
