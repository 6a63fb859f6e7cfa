"""Cross-validation: each photo is predicted once, by a head that never saw it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.errors import DatasetError, SettingError
from tasks.evaluate.cross_validation import cross_predict, fold_heads, predict_photos
from tasks.evaluate.metrics import measure_cross_validation
from tasks.progress import NullProgress
from tasks.snapshot.splits import TENTHS, assign_splits, fold_tenths
from tasks.train.classic import fit, read_training_data
from tasks.train.features import read_values
from tasks.train.head import Head, load_head
from tasks.train.head_training import train_head
from tasks.train.lda_training import LdaTrainer, LeftOutScore
from tasks.train.photos import EmbeddedPhotos, take_photos
from tasks.train.settings import TrainSettings
from tasks.train.statistics import Statistics
from tasks.train.training_state import TrainingContext
from tests.support.data_root import LABELS, draw_photos
from tests.support.progress import Tally
from tests.train.examples import (
    BACKBONE,
    BOTTLENECK,
    CLASSIC,
    LDA,
    Drawn,
    assert_same_bits,
    classic,
    draw_examples,
    photos_of,
    settings,
)

COUNTS = (60, 40)


def train(photos: EmbeddedPhotos, folder: Path) -> Head:
    """The head that the recipe gives on the splits."""
    train_head(photos, "", folder, None, NullProgress())
    return load_head(folder)


def cross_validate(photos: EmbeddedPhotos, folder: Path, folds: int) -> dict[str, Any]:
    head = train(photos, folder)
    _, crossed = cross_predict(photos, head, folds, None, NullProgress())
    assert crossed is not None
    return measure_cross_validation(folds, photos.truth, crossed, photos.labels)


@pytest.mark.parametrize(
    "how", [settings(shrinkage=(0.01,)), classic(steps=800, learning_rate=0.5)], ids=["lda", "classic"]
)
def test_random_labels_are_predicted_by_chance_though_a_head_knows_its_own_photos_by_heart(
    how: TrainSettings, tmp_path: Path
) -> None:
    wide = replace(BOTTLENECK, backbone=replace(BACKBONE, layers=("bottleneck",), widths=(400,)))
    random = np.random.default_rng(1)
    numbers = random.integers(0, 256, (200, 1, 400), np.uint8).repeat(2, axis=1)
    drawn = Drawn(numbers, random.permutation(200) % 2)
    photos = photos_of(drawn, LABELS[:2], replace(how, bottlenecks=(wide,)))
    head = train(photos, tmp_path)
    seen = photos.of("train")
    predicted = head.probabilities(read_values(photos.features, seen))
    assert (predicted.argmax(axis=1) == photos.truth[seen]).mean() > 0.99
    crossed = cross_validate(photos, tmp_path, 4)
    # Chance is a half, give or take 3.5 % for 200 photos.
    assert abs(crossed["accuracy"] - 0.5) < 0.12
    assert crossed["log_loss"] > 0.65


@pytest.mark.parametrize("how", [settings(), classic(steps=300, learning_rate=0.3)], ids=["lda", "classic"])
def test_labels_that_are_far_apart_are_all_predicted_rightly(how: TrainSettings, tmp_path: Path) -> None:
    crossed = cross_validate(draw_photos(COUNTS, apart=5, how=how), tmp_path, 3)
    assert (crossed["folds"], crossed["accuracy"]) == (3, 1.0)
    assert crossed["log_loss"] < 0.2


@pytest.mark.parametrize("folds", [2, 3, 10])
def test_a_fold_s_head_is_solved_for_from_all_photos_but_the_fold_s_with_what_the_head_chose(
    folds: int, tmp_path: Path
) -> None:
    photos = draw_photos(COUNTS)
    head = train(photos, tmp_path)
    choice = LeftOutScore(**head.facts["choices"][0])
    trainer = LdaTrainer(LDA, photos.features.columns, (0, 1), photos.labels)
    numbers = photos.features.read(np.ones(100, bool), (0, 1), np.ones(10, bool))
    heads = fold_heads(photos, head, folds, None, NullProgress())
    for own, found in zip(fold_tenths(folds), heads, strict=True):
        others, known = ~np.isin(photos.splits.tenths, own), Statistics.empty(2, 10)
        known.add(numbers[others], photos.truth[others])
        assert_same_bits(found, trainer.fit(known, choice))


def test_a_fold_s_classic_head_is_trained_on_neither_the_fold_nor_the_validation_split(tmp_path: Path) -> None:
    photos = draw_photos(COUNTS, how=classic())
    heads = fold_heads(photos, train(photos, tmp_path), 4, None, NullProgress())
    for own, found in zip(fold_tenths(4), heads, strict=True):
        others, validation = ~photos.in_tenths(own), photos.of("validation")
        watched = others & validation
        data = read_training_data(photos, others & ~validation, watched if watched.any() else others)
        assert_same_bits(found, fit(data, photos.labels, CLASSIC, 0, TrainingContext(NullProgress())))


def test_each_photo_is_predicted_by_the_head_and_by_that_of_its_own_fold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = draw_photos(COUNTS)
    head = train(photos, tmp_path)
    heads = fold_heads(photos, head, 3, None, NullProgress())
    monkeypatch.setattr("tasks.train.features.BLOCK_PHOTOS", 7)
    predicted, crossed = predict_photos(photos, head, heads, progress := Tally())
    assert crossed is not None
    assert predicted.dtype == crossed.dtype == np.float32
    values = read_values(photos.features, np.ones(100, bool))
    np.testing.assert_allclose(predicted, head.probabilities(values), rtol=1e-5)
    for index, tenth in enumerate(photos.splits.tenths.tolist()):
        (fold,) = (heads[fold] for fold, own in enumerate(fold_tenths(3)) if tenth in own)
        assert fold is not None
        np.testing.assert_allclose(crossed[index], fold.probabilities(values[index : index + 1])[0], rtol=1e-5)
    assert (progress.total, progress.unit, progress.done) == (100, "photo", 100)
    alone, crossed = predict_photos(photos, head, (), NullProgress())
    assert crossed is None
    np.testing.assert_array_equal(alone, predicted)


def test_the_classic_recipe_predicts_from_the_plain_view_alone(tmp_path: Path) -> None:
    drawn = draw_examples(COUNTS, apart=5)
    # The mirror images say the opposite of what the photos say.
    drawn.numbers[:, 1, [0, 1]] = drawn.numbers[:, 0, [1, 0]]
    photos = photos_of(drawn, LABELS[:2], classic(steps=300, learning_rate=0.3))
    assert cross_validate(photos, tmp_path, 2)["accuracy"] == 1.0


@pytest.mark.parametrize("kept", [True, False])
def test_statistics_on_disk_give_the_same_bits(kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = draw_photos(COUNTS)
    head = train(photos, tmp_path / "head")
    summed = fold_heads(photos, head, 3, None, NullProgress())
    monkeypatch.setattr("tasks.train.tenth_statistics.MAX_SUMMED", 0)
    read = fold_heads(photos, head, 3, tmp_path / "statistics" if kept else None, NullProgress())
    for one, other in zip(summed, read, strict=True):
        assert_same_bits(one, other)
    assert (tmp_path / "statistics").exists() == kept


@pytest.mark.parametrize("how", [settings(), classic(steps=10)], ids=["lda", "classic"])
@pytest.mark.parametrize(("counts", "folds"), [((3, 3), 10), ((3, 3), 2), ((4, 3, 3), 3)])
def test_handful_of_photos_gives_numbers(
    counts: tuple[int, ...], folds: int, how: TrainSettings, tmp_path: Path
) -> None:
    crossed = cross_validate(draw_photos(counts, apart=5, how=how), tmp_path, folds)
    assert crossed["interval"]["low"] <= crossed["accuracy"] <= crossed["interval"]["high"]
    assert np.isfinite(crossed["log_loss"])
    assert 0 <= crossed["expected_calibration_error"] <= 1


def test_a_fold_without_photos_has_no_head(tmp_path: Path) -> None:
    photos = draw_photos((3, 3))
    heads = fold_heads(photos, train(photos, tmp_path), TENTHS, None, progress := Tally())
    empty = [not (photos.splits.tenths == tenth).any() for tenth in range(TENTHS)]
    assert any(empty)
    assert [head is None for head in heads] == empty
    assert (progress.total, progress.unit, progress.done) == (TENTHS, "fold", TENTHS)


def test_photos_that_all_fell_into_one_fold_are_too_few(tmp_path: Path) -> None:
    photos = draw_photos((3, 3))
    head = train(photos, tmp_path)
    # As no snapshot has it, since photos fill in for the splits.
    alike = replace(photos, splits=replace(photos.splits, tenths=np.full(6, 4, np.int8)))
    with pytest.raises(DatasetError, match="6 photos are too few for a cross-validation in 5 folds"):
        fold_heads(alike, head, 5, None, NullProgress())


@pytest.mark.parametrize("folds", [3, 10])
def test_small_folds_are_predicted_as_by_heads_of_their_own_though_none_is_solved_for(
    folds: int, tmp_path: Path
) -> None:
    wide = replace(BOTTLENECK, backbone=replace(BACKBONE, layers=("bottleneck",), widths=(600,)))
    photos = photos_of(
        draw_examples((110, 90), width=600, apart=0.4), LABELS[:2], settings(bottlenecks=(wide,), shrinkage=(1.0,))
    )
    head = train(photos, tmp_path)
    predicted, crossed = cross_predict(photos, head, folds, None, progress := Tally())
    assert crossed is not None
    assert (progress.total, progress.unit, progress.done) == (200, "photo", 200)
    heads = fold_heads(photos, head, folds, None, NullProgress())
    alone, expected = predict_photos(photos, head, heads, NullProgress())
    assert expected is not None
    np.testing.assert_array_equal(predicted, alone)
    # Mean and deviation of all photos stay, where a head of the others has its own.
    assert np.abs(crossed - expected).max() < 0.1
    assert np.abs(crossed - predicted).max() > 0.3
    assert (crossed.argmax(axis=1) == expected.argmax(axis=1)).mean() > 0.97


def test_an_evaluation_takes_the_photos_and_statistics_of_the_training_before_it_and_gives_the_same(
    tmp_path: Path,
) -> None:
    photos = draw_photos(COUNTS)
    head = train(photos, tmp_path)
    assert list(photos.summed) == [frozenset(range(9))]
    kept = take_photos(photos.features.settings.key(""))
    assert kept is photos
    assert take_photos(photos.features.settings.key("")) is None
    known, anew = (cross_predict(each, head, 3, None, NullProgress()) for each in (photos, draw_photos(COUNTS)))
    for found, expected in zip(known, anew, strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("how", [settings(), classic()], ids=["lda", "classic"])
@pytest.mark.parametrize("folds", [3, 9])
def test_given_test_photos_are_in_no_fold_train_no_head_and_are_predicted_by_the_head_itself(
    how: TrainSettings, folds: int, tmp_path: Path
) -> None:
    photos = give_splits(draw_photos(COUNTS, how=how))
    test = photos.of("test")
    head = train(photos, tmp_path / "all")
    predicted, crossed = cross_predict(photos, head, folds, None, NullProgress())
    assert crossed is not None
    np.testing.assert_array_equal(crossed[test], predicted[test])
    # Test photos of other labels change nothing but their own predictions.
    swapped = replace(photos, truth=np.where(test, 1 - photos.truth, photos.truth), summed={})
    same = train(swapped, tmp_path / "swapped")
    assert_same_bits(same, head)
    np.testing.assert_array_equal(cross_predict(swapped, same, folds, None, NullProgress())[1], crossed)


def test_folds_of_one_solution_leave_given_test_photos_out_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = give_splits(draw_photos(COUNTS))
    head = train(photos, tmp_path)
    expected = predict_photos(photos, head, fold_heads(photos, head, 9, None, NullProgress()), NullProgress())
    monkeypatch.setattr("tasks.evaluate.cross_validation._MOST_ROWS", 1000)
    predicted, crossed = cross_predict(photos, head, 9, None, NullProgress())
    np.testing.assert_array_equal(predicted, expected[0])
    # Folds of different sizes have other shrinkages than their own heads.
    assert crossed is not None
    assert expected[1] is not None
    np.testing.assert_allclose(crossed, expected[1], rtol=0, atol=0.02)
    np.testing.assert_array_equal(crossed[photos.of("test")], predicted[photos.of("test")])


def test_more_folds_than_tenths_outside_the_given_test_split_are_refused(tmp_path: Path) -> None:
    photos = give_splits(draw_photos(COUNTS))
    with pytest.raises(SettingError, match="Give from 2 to 9 folds"):
        cross_predict(photos, train(photos, tmp_path), 10, None, NullProgress())


def give_splits(photos: EmbeddedPhotos) -> EmbeddedPhotos:
    """Photos that are given splits other than those drawn: every fourth one tests."""
    names = [photos.labels[label] for label in photos.truth]
    given = ["test" if number % 4 == 0 else "train" for number in range(len(names))]
    return replace(photos, splits=assign_splits(photos.sha256, names, given))
