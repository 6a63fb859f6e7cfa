"""The recipe `lda`: its search for parameters, and that the head computes the discriminant analysis."""

from dataclasses import replace

import numpy as np
import pytest

from tasks.train.features import columns_of
from tasks.train.head import Head
from tasks.train.lda_training import LdaTrainer, LeftOutPhotos, LeftOutScore, read_left_out, select_left_out
from tasks.train.scores import Examples, Score
from tasks.train.settings import TrainSettings
from tests.train.examples import BACKBONE, Drawn, assert_same_bits, draw_examples, photos_of, settings, statistics_of

LABELS = ("daisy", "roses", "tulips")
CHOICE = LeftOutScore(shrinkage=0.3, layer_weight=1.0, temperature=2.0, accuracy=0, log_loss=0)
EARLIER = slice(BACKBONE.widths[0], None)


def fit(how: TrainSettings, drawn: Drawn, choice: LeftOutScore = CHOICE) -> Head:
    return LdaTrainer.of(how, LABELS).fit(statistics_of(drawn, len(LABELS)), choice)


def search(how: TrainSettings, drawn: Drawn) -> tuple[Head, tuple[LeftOutScore, ...]]:
    return LdaTrainer.of(how, LABELS).search_on(*drawn)


def examples_of(drawn: Drawn, how: TrainSettings) -> Examples:
    return Examples(columns_of(how).values(drawn.numbers, slice(None), rooted=True), drawn.labels)


def test_scores_are_those_of_photos_that_are_left_out_one_at_a_time() -> None:
    how, drawn = settings(shrinkage=(0.01, 0.1, 1.0, 10.0), layer_weights=(1.0, 0.3, 0.0)), draw_examples((30, 25, 20))
    _, ranked = search(how, drawn)
    losses = [score.log_loss for score in ranked]
    assert losses == sorted(losses)
    assert len(ranked) > 3
    everything = np.arange(len(drawn.labels))
    for choice in ranked:
        predicted = []
        for photo in everything:
            others = Drawn(drawn.numbers[everything != photo], drawn.labels[everything != photo])
            alone = examples_of(Drawn(drawn.numbers[[photo]], drawn.labels[[photo]]), how)
            predicted.append(fit(how, others, choice).probabilities(alone.values)[0])
        assert Score.of(np.stack(predicted), drawn.labels).log_loss == pytest.approx(choice.log_loss, rel=0.02)


def test_where_no_label_has_two_photos_the_search_ends_where_it_begins() -> None:
    how, drawn = settings(shrinkage=(0.01, 0.5, 10.0)), draw_examples((1, 1, 1))
    assert not select_left_out(drawn.labels).any()
    left_out = LeftOutPhotos(drawn.numbers[:0], drawn.labels[:0])
    head, ranked = LdaTrainer.of(how, LABELS).search(statistics_of(drawn, 3), left_out)
    assert [(score.shrinkage, score.layer_weight, score.temperature) for score in ranked] == [(0.5, 1.0, 1.0)]
    np.testing.assert_array_equal(head.weights, fit(how, drawn, ranked[0]).weights)


def test_the_head_is_that_of_the_best_choice_and_the_same_photos_give_the_same_bits() -> None:
    how, drawn = settings(), draw_examples((60, 50, 40))
    head, ranked = search(how, drawn)
    assert_same_bits(head, search(how, drawn)[0])
    again = fit(how, drawn, ranked[0])
    np.testing.assert_allclose(head.weights, again.weights, rtol=1e-6)
    np.testing.assert_allclose(head.biases, again.biases, rtol=1e-6)


def test_few_photos_do_not_ask_for_certainty() -> None:
    head, _ = search(settings(), draw_examples((4, 4, 4), apart=0.5))
    score = examples_of(draw_examples((200, 200, 200), apart=0.5, seed=1), settings()).score(head)
    assert score.log_loss < 1.1, "the loss of equal probabilities"
    assert score.accuracy > 0.5


def test_leaving_earlier_layers_out_is_always_tried() -> None:
    how = settings(shrinkage=(1.0,), layer_weights=(1.0, 0.7, 0.4, 0.0))
    _, ranked = search(how, draw_examples((60, 50, 40)))
    assert 0.0 in {score.layer_weight for score in ranked}


def test_layers_without_information_are_left_out() -> None:
    drawn = draw_examples((9, 9, 9), apart=0.7)
    drawn.numbers[..., EARLIER] = np.random.default_rng(5).integers(0, 255, drawn.numbers[..., EARLIER].shape)
    head, ranked = search(settings(), drawn)
    assert ranked[0].layer_weight == 0
    assert not head.weights[EARLIER].any()


def test_layers_that_tell_the_labels_apart_are_kept() -> None:
    drawn = draw_examples((60, 60, 60), apart=0.3)
    drawn.numbers[np.arange(180), :, EARLIER.start + drawn.labels] = 250
    assert search(settings(), drawn)[1][0].layer_weight == 1


def test_a_backbone_of_one_layer_has_no_layers_to_weight() -> None:
    bottleneck = replace(settings().bottlenecks[0], backbone=BACKBONE.last_layer)
    how = settings(bottlenecks=(bottleneck,), layer_weights=(1.0, 0.5, 0.0))
    _, ranked = search(how, draw_examples((30, 30, 30), width=6))
    assert {score.layer_weight for score in ranked} == {1.0}


def test_scores_are_divided_by_the_temperature() -> None:
    drawn = draw_examples((60, 50, 40))
    one, other = (fit(settings(), drawn, replace(CHOICE, temperature=value)) for value in (1.0, 4.0))
    np.testing.assert_allclose(one.weights, 4 * other.weights, rtol=1e-6)
    np.testing.assert_allclose(one.biases, 4 * other.biases, rtol=1e-6)


def test_the_head_takes_square_roots_of_averages() -> None:
    """Exports compute these, without quantisation."""
    drawn = draw_examples((60, 50, 40), apart=3)
    head = fit(settings(), drawn)
    roots = drawn.numbers * np.float32(np.sqrt(6) / 255)
    assert head.rooted
    assert (head.probabilities(roots.astype(np.float32)).argmax(axis=1) == drawn.labels).mean() > 0.9


def test_class_weights_favour_rare_labels() -> None:
    drawn = draw_examples((200, 20, 20), apart=0.3)
    shares = []
    for class_weights in (False, True):
        how = settings(class_weights=class_weights)
        predicted = fit(how, drawn).probabilities(examples_of(drawn, how).values)
        shares.append(predicted.argmax(axis=1).astype(bool).mean())
    assert shares[1] > 2 * shares[0]


def test_of_many_photos_those_with_the_smallest_keys_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    photos = photos_of(draw_examples((60, 40)), LABELS)
    monkeypatch.setattr("tasks.train.lda_training.LEFT_OUT", 7)
    left_out = read_left_out(photos, photos.of("train"))
    first = np.flatnonzero(photos.of("train"))[:7]
    assert left_out.labels.tolist() == photos.truth[first].tolist()
    np.testing.assert_array_equal(left_out.numbers, photos.features._held[first])


def test_a_label_s_only_photo_is_not_left_out() -> None:
    photos = photos_of(draw_examples((60, 40)), LABELS)
    fitted = photos.truth == 0
    fitted[np.flatnonzero(photos.truth == 1)[0]] = True
    assert read_left_out(photos, fitted).labels.tolist() == [0] * 60
