"""Cross-validation: each photo is predicted once, by a head that never saw it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tasks.errors import DatasetError
from tasks.evaluate.cross_validation import cross_validate
from tasks.evaluate.metrics import wilson_interval
from tasks.progress import Silence
from tasks.snapshot.splits import assign_folds
from tasks.train.examples import Examples, Watch
from tasks.train.fit import fit_head
from tasks.train.settings import TrainSettings
from tests.evaluate.drawing import photos_of
from tests.listening import Tally
from tests.train.examples import classic, draw_examples, put_on_disk, read, settings

LABELS = ("daisy", "roses")


def test_random_labels_are_predicted_by_chance_though_each_head_knows_its_own_photos_by_heart() -> None:
    vectors = np.random.default_rng(1).exponential(1, (200, 1, 400)).astype(np.float32)
    examples = Examples(vectors, np.random.default_rng(2).permutation(200) % 2)
    photos, how = photos_of(examples, LABELS), settings(l2=(1e-4,))
    head, _ = fit_head(examples, examples, how, LABELS, Watch(Silence()))
    assert (head.probabilities(vectors).argmax(axis=1) == examples.labels).all()
    crossed = cross_validate(photos, how, 4, Silence())
    # Chance is a half, give or take 3.5 % for 200 photos.
    assert abs(crossed.accuracy - 0.5) < 0.12


def test_labels_that_are_far_apart_are_all_predicted_rightly() -> None:
    photos = photos_of(draw_examples((60, 40), apart=50), LABELS)
    crossed = cross_validate(photos, settings(), 3, Silence())
    assert (crossed.folds, crossed.accuracy) == (3, 1.0)
    assert crossed.interval == wilson_interval(100, 100)


def test_the_classic_recipe_is_crossed_too_and_predicts_from_the_plain_view_alone() -> None:
    photos = photos_of(draw_examples((60, 40), apart=50), LABELS)
    # The mirror images say the opposite of what the photos say, and twice as loud.
    vectors = read(photos.vectors)
    vectors[:, 1] = 2 * vectors[:, 0][:, [1, 0, 2, 3, 4, 5]]
    assert cross_validate(photos, classic(), 2, Silence()).accuracy == 1.0


@pytest.mark.parametrize("how", [settings(), classic()], ids=["adam", "classic"])
def test_bottlenecks_on_disk_are_crossed_too(
    how: TrainSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = photos_of(draw_examples((60, 40), apart=50), LABELS)
    monkeypatch.setattr("tasks.train.vectors.MOST_IN_MEMORY", 0)
    there = put_on_disk(Examples(photos.vectors, photos.truth), tmp_path)
    crossed = cross_validate(replace(photos, vectors=there.vectors), how, 3, Silence())
    assert (crossed.folds, crossed.accuracy) == (3, 1.0)


def test_folds_that_are_trained_at_once_count_as_one_after_the_other() -> None:
    photos, how = photos_of(draw_examples((60, 40), apart=1), LABELS), settings()
    correct = 0
    for fold in range(4):
        held_out, validation = assign_folds(photos.sha256, 4) == fold, photos.of("validation")
        everything = Examples(photos.vectors, photos.truth)
        train, watched = everything.take(~held_out & ~validation), everything.take(~held_out & validation)
        head, _ = fit_head(train, watched, how, LABELS, Watch(Silence()))
        test = everything.take(held_out)
        correct += int((head.probabilities(test.vectors).argmax(axis=1) == test.labels).sum())
    assert 50 < correct < 100
    assert cross_validate(photos, how, 4, Silence()).accuracy == correct / 100


def test_every_fold_is_told() -> None:
    cross_validate(photos_of(draw_examples((15, 15)), LABELS), settings(l2=(0.1,), batch_size=8), 2, told := Tally())
    assert (told.total, told.unit, told.done) == (2, "fold", 2)


@pytest.mark.parametrize(("counts", "folds"), [((3, 3), 5), ((3, 3), 2), ((4, 3, 3), 3)])
def test_handful_of_photos_gives_a_number(counts: tuple[int, ...], folds: int) -> None:
    photos = photos_of(draw_examples(counts, apart=5), (*LABELS, "tulips")[: len(counts)])
    crossed = cross_validate(photos, settings(l2=(0.1,), batch_size=2), folds, Silence())
    assert 0 <= crossed.accuracy <= 1
    assert crossed.interval.low <= crossed.accuracy <= crossed.interval.high


def test_photos_that_all_fell_into_one_fold_are_too_few() -> None:
    photos = photos_of(draw_examples((3, 3)), LABELS)
    alike = [f"{number:016x}{0:048x}" for number in range(6)]
    with pytest.raises(DatasetError, match="6 photos are too few for a cross-validation in 5 folds"):
        cross_validate(replace(photos, sha256=alike), settings(l2=(0.1,)), 5, Silence())
