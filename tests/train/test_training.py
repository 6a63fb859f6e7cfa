"""The head that a stage keeps: trained on one split, chosen on another, with all that is needed to use it."""

import json
from pathlib import Path

import numpy as np
import pytest

from tasks.bottleneck.quantisation import Numbers
from tasks.paths import to_path
from tasks.progress import NullProgress
from tasks.storage.files import listed
from tasks.storage.layout import DataRoot
from tasks.train.examples import LeftOutScore
from tasks.train.features import read_values
from tasks.train.fit_lda import Sample, Solver
from tasks.train.head import load_head
from tasks.train.photos import EmbeddedPhotos
from tasks.train.settings import LdaRecipe, TrainSettings
from tasks.train.statistics import Statistics
from tasks.train.training import WORTH_WATCHING, sample_rows, train_head
from tasks.train.training_state import Training, TrainingState, read_announced, state_of
from tests.support.progress import Tally
from tests.support.servers.object_store import ObjectStore
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
    trained = train_head(photos, "snapshot-key", tmp_path / "head", None, NullProgress())
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


def test_lda_is_fitted_on_the_training_and_validation_splits_and_chosen_by_leaving_their_photos_out(
    tmp_path: Path,
) -> None:
    photos = photos_with()
    trained = train_head(photos, "", tmp_path / "head", None, NullProgress())
    recipe = photos.features.settings.recipe
    assert isinstance(recipe, LdaRecipe)
    fitted, known = ~photos.of("test"), Statistics.none(2, 10)
    numbers, truth = numbers_of(photos)[fitted], photos.truth[fitted]
    known.add(numbers, truth)
    expected, choices = Solver(recipe, photos.features.columns, (0, 1), LABELS).choose(known, Sample(numbers, truth))
    head = load_head(tmp_path / "head")
    assert trained.photos == fitted.sum()
    assert [LeftOutScore(**choice) for choice in head.facts["choices"]] == list(choices)
    np.testing.assert_array_equal(head.weights, expected.weights)
    np.testing.assert_array_equal(head.biases, expected.biases)


@pytest.mark.parametrize("how", [settings(), classic()], ids=["lda", "classic"])
def test_test_photos_take_no_part_in_training(tmp_path: Path, how: TrainSettings) -> None:
    photos = photos_with(how=how)
    train_head(photos, "", tmp_path / "one", None, NullProgress())
    numbers_of(photos)[photos.of("test")] = 255
    train_head(photos, "", tmp_path / "two", None, NullProgress())
    one, two = load_head(tmp_path / "one"), load_head(tmp_path / "two")
    assert (one.weights == two.weights).all()
    assert (one.biases == two.biases).all()


def test_of_many_photos_those_with_the_smallest_keys_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    photos = photos_with()
    monkeypatch.setattr("tasks.train.fit_lda.LEFT_OUT", 7)
    which = photos.of("train")
    sample = sample_rows(photos, which)
    few = np.flatnonzero(which)[:7]
    assert sample.labels.tolist() == photos.truth[few].tolist()
    np.testing.assert_array_equal(sample.numbers, numbers_of(photos)[few])


def test_a_label_s_only_photo_is_not_left_out() -> None:
    photos = photos_with()
    which = photos.truth == 0
    alone = np.flatnonzero(photos.truth == 1)[0]
    which[alone] = True
    assert sample_rows(photos, which).labels.tolist() == [0] * 60


def test_photos_that_are_summed_up_are_told_of(tmp_path: Path) -> None:
    photos = photos_with()
    train_head(photos, "", tmp_path, None, told := Tally())
    fitted = int((~photos.of("test")).sum())
    assert (told.total, told.unit, told.done) == (fitted, "photo", fitted)
    assert told.lines == []


@pytest.mark.parametrize("kept", [True, False])
def test_statistics_on_disk_give_the_same_head(kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = photos_with()
    train_head(photos, "", tmp_path / "summed", None, NullProgress())
    monkeypatch.setattr("tasks.train.tenths.MOST_SUMMED", 0)
    train_head(photos, "", tmp_path / "read", tmp_path / "statistics" if kept else None, NullProgress())
    assert (tmp_path / "statistics").exists() == kept
    summed, read = (load_head(tmp_path / name) for name in ("summed", "read"))
    np.testing.assert_array_equal(summed.weights, read.weights)
    np.testing.assert_array_equal(summed.biases, read.biases)


def test_a_head_is_kept_on_an_object_store(object_store: ObjectStore, tmp_path: Path) -> None:
    folder = DataRoot(to_path(object_store.url("data"))).train("head")
    train_head(photos_with(), "", folder, None, NullProgress())
    train_head(photos_with(), "", tmp_path, None, NullProgress())
    np.testing.assert_array_equal(load_head(folder).weights, load_head(tmp_path).weights)


def test_classic_predicts_the_validation_split_as_it_tells(tmp_path: Path) -> None:
    photos = photos_with(apart=5, how=classic(learning_rate=0.1))
    trained = train_head(photos, "", tmp_path, None, NullProgress())
    head, validation = load_head(tmp_path), photos.of("validation")
    predicted = head.probabilities(read_values(photos.features, validation))
    truth = photos.truth[validation]
    assert trained.photos == len(truth)
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
            assert state_of(folder) is TrainingState.UNDERWAY

    train_head(photos_with(how=how), "snap", folder, None, told := Onlooker())
    assert told.beginnings > 0
    assert state_of(folder) is TrainingState.ENDED


@pytest.mark.parametrize(("steps", "lines"), [(WORTH_WATCHING, 1), (WORTH_WATCHING - 1, 0)])
def test_only_a_long_training_says_how_to_watch_it(tmp_path: Path, steps: int, lines: int) -> None:
    class Stopped(Tally):
        def start(self, total: int, unit: str) -> None:
            raise InterruptedError(total, unit)

    folder, told = tmp_path / "a head", Stopped()
    with pytest.raises(InterruptedError):
        train_head(photos_with(how=classic(steps=steps, batch_size=1)), "", folder, None, told)
    assert told.lines == [f"To watch it learn: python -m pipeline watch '{folder}'"][:lines]
