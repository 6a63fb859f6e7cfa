"""The head that a stage keeps: trained on one split, chosen on another, with all that is needed to use it."""

import json
from pathlib import Path

import numpy as np
import pytest

from tasks.artifacts import DataRoot, listed
from tasks.bottleneck.quantisation import Numbers
from tasks.paths import to_path
from tasks.progress import Silence
from tasks.train.examples import Choice, Examples
from tasks.train.features import read_values
from tasks.train.fit_lda import Solver
from tasks.train.head import load_head
from tasks.train.photos import EmbeddedPhotos
from tasks.train.settings import LdaRecipe, TrainSettings
from tasks.train.statistics import Statistics
from tasks.train.training import WORTH_WATCHING, train_head
from tasks.train.underway import State, Training, read_announced, state_of
from tests.listening import Tally
from tests.object_store import ObjectStore
from tests.train.examples import classic, draw_examples, photos_of, settings

LABELS = ("daisy", "roses")


def photos_with(apart: float = 1.0, how: TrainSettings | None = None) -> EmbeddedPhotos:
    return photos_of(draw_examples((60, 40), apart=apart), LABELS, how)


def numbers_of(photos: EmbeddedPhotos) -> Numbers:
    """All numbers, which a test may change."""
    return photos.features._held


def test_the_kept_head_predicts_and_names_what_it_stands_on(tmp_path: Path) -> None:
    how = settings()
    photos = photos_with(apart=5, how=how)
    trained = train_head(photos, "snapshot-key", tmp_path / "head", None, Silence())
    head = load_head(tmp_path / "head")
    assert (head.labels, head.rooted) == (LABELS, True)
    everything = read_values(photos.features, np.ones(100, bool))
    assert (head.probabilities(everything).argmax(axis=1) == photos.truth).mean() > 0.9
    facts = json.loads((tmp_path / "head" / "head.json").read_text())
    assert facts["snapshot"] == "snapshot-key"
    assert facts["bottlenecks"] == [bottleneck.key for bottleneck in how.bottlenecks]
    assert facts["settings"]["bottlenecks"][0]["backbone"]["size"] == how.bottlenecks[0].backbone.size
    best = facts["choices"][0]
    assert dict(trained.choice) == {name: best[name] for name in ("shrinkage", "layer_weight", "temperature")}
    assert (trained.accuracy, trained.log_loss) == (best["accuracy"], best["log_loss"])
    assert best["log_loss"] == min(choice["log_loss"] for choice in facts["choices"])
    assert listed(tmp_path / "head" / "checkpoints") == []


def test_lda_is_chosen_on_the_validation_split_and_fitted_on_it_and_on_the_training_split(tmp_path: Path) -> None:
    photos = photos_with()
    train_head(photos, "", tmp_path / "head", None, Silence())
    recipe = photos.features.settings.recipe
    assert isinstance(recipe, LdaRecipe)
    solver, known = Solver(recipe, photos.features.columns, LABELS), Statistics.none(2, 10)
    train, validation = photos.of("train"), photos.of("validation")
    known.add(numbers_of(photos)[train], photos.truth[train])
    choices = solver.choose(known, Examples(read_values(photos.features, validation), photos.truth[validation]))
    known.add(numbers_of(photos)[validation], photos.truth[validation])
    expected, head = solver.fit(known, choices[0]), load_head(tmp_path / "head")
    assert [Choice(**choice) for choice in head.facts["choices"]] == list(choices)
    np.testing.assert_array_equal(head.weights, expected.weights)
    np.testing.assert_array_equal(head.biases, expected.biases)


@pytest.mark.parametrize("how", [settings(), classic()], ids=["lda", "classic"])
def test_test_photos_take_no_part_in_training(tmp_path: Path, how: TrainSettings) -> None:
    photos = photos_with(how=how)
    train_head(photos, "", tmp_path / "one", None, Silence())
    numbers_of(photos)[photos.of("test")] = 255
    train_head(photos, "", tmp_path / "two", None, Silence())
    one, two = load_head(tmp_path / "one"), load_head(tmp_path / "two")
    assert (one.weights == two.weights).all()
    assert (one.biases == two.biases).all()


def test_a_choice_is_made_by_a_part_of_many_validation_photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = photos_with()
    few = np.flatnonzero(photos.of("validation"))[:5]
    # Five photos in two views of ten numbers.
    monkeypatch.setattr("tasks.train.training.MOST_NUMBERS", 100)
    train_head(photos, "", tmp_path / "one", None, Silence())
    others = np.setdiff1d(np.flatnonzero(photos.of("validation")), few)
    assert len(others) > 0
    numbers_of(photos)[others] = 0
    trained = train_head(photos, "", tmp_path / "two", None, Silence())
    one, two = (load_head(tmp_path / name) for name in ("one", "two"))
    assert one.facts["choices"] == two.facts["choices"]
    assert trained.accuracy * 5 == round(trained.accuracy * 5)
    # The head itself is fitted on all of them.
    assert not np.array_equal(one.weights, two.weights)


def test_photos_that_are_summed_up_are_told_of(tmp_path: Path) -> None:
    photos = photos_with()
    train_head(photos, "", tmp_path, None, told := Tally())
    validation = int(photos.of("validation").sum())
    assert (told.total, told.unit) == (validation, "photo")
    assert told.done == validation
    assert told.lines == []


def test_a_head_is_kept_on_an_object_store(object_store: ObjectStore, tmp_path: Path) -> None:
    folder = DataRoot(to_path(object_store.url("data"))).train("head")
    train_head(photos_with(), "", folder, None, Silence())
    train_head(photos_with(), "", tmp_path, None, Silence())
    np.testing.assert_array_equal(load_head(folder).weights, load_head(tmp_path).weights)


def test_classic_predicts_the_validation_split_as_it_tells(tmp_path: Path) -> None:
    photos = photos_with(apart=5, how=classic(learning_rate=0.1))
    trained = train_head(photos, "", tmp_path, None, Silence())
    head, validation = load_head(tmp_path), photos.of("validation")
    predicted = head.probabilities(read_values(photos.features, validation))
    truth = photos.truth[validation]
    assert trained.accuracy == (predicted.argmax(axis=1) == truth).mean() > 0.8
    assert trained.log_loss == pytest.approx(-np.log(predicted[np.arange(len(truth)), truth]).mean(), rel=1e-5)
    assert (trained.choice, head.rooted) == ({}, False)
    assert "choices" not in head.facts


def test_classic_ends_with_the_accuracy_on_the_whole_test_split(tmp_path: Path) -> None:
    photos = photos_with(apart=5, how=classic())
    train_head(photos, "", tmp_path / "head", None, told := Tally())
    test = photos.of("test")
    values = (numbers_of(photos)[test, :1, :6] * photos.features.columns.steps[0]) ** 2
    predicted = load_head(tmp_path / "head").probabilities(values.astype(np.float32)).argmax(axis=1)
    accuracy = 100 * (predicted == photos.truth[test]).mean()
    assert told.lines[-1] == f"Final test accuracy = {accuracy:.1f}% (N={test.sum()})"
    assert len(told.lines) == 4


@pytest.mark.parametrize("how", [settings(), classic()], ids=["lda", "classic"])
def test_a_training_tells_what_it_trains_before_it_begins(tmp_path: Path, how: TrainSettings) -> None:
    """Told of before the first validation line, a watcher can be started."""
    folder = tmp_path / how.key("snap")

    class Onlooker(Tally):
        def start(self, total: int, unit: str) -> None:
            super().start(total, unit)
            assert read_announced(folder) == Training(how, "snap")
            assert state_of(folder) is State.UNDERWAY

    train_head(photos_with(how=how), "snap", folder, None, told := Onlooker())
    assert told.beginnings > 0
    assert state_of(folder) is State.ENDED


@pytest.mark.parametrize(("steps", "lines"), [(WORTH_WATCHING, 1), (WORTH_WATCHING - 1, 0)])
def test_only_a_long_training_says_how_to_watch_it(tmp_path: Path, steps: int, lines: int) -> None:
    class Stopped(Tally):
        def start(self, total: int, unit: str) -> None:
            raise InterruptedError(total, unit)

    folder, told = tmp_path / "a head", Stopped()
    with pytest.raises(InterruptedError):
        train_head(photos_with(how=classic(steps=steps, batch_size=1)), "", folder, None, told)
    assert told.lines == [f"To watch it learn: python -m pipeline watch '{folder}'"][:lines]
