"""Training of a head: it is trained and chosen on the right photos, and published with all that is needed to use it."""

import json
from pathlib import Path

import numpy as np
import pytest

from tasks.bottleneck.quantisation import Numbers
from tasks.paths import AnyPath, to_path
from tasks.progress import NullProgress, Progress
from tasks.storage.files import listed
from tasks.storage.layout import DataRoot
from tasks.train.head import Head, load_head
from tasks.train.head_training import WORTH_WATCHING, TrainedHead, train_head
from tasks.train.lda_training import LdaTrainer, LeftOutPhotos, LeftOutScore
from tasks.train.photos import EmbeddedPhotos
from tasks.train.settings import TrainSettings
from tasks.train.training_state import Training, TrainingState, read_announced, state_of
from tests.support.data_root import LABELS, draw_photos
from tests.support.progress import Tally
from tests.support.servers.object_store import ObjectStore
from tests.train.examples import (
    LDA,
    Drawn,
    assert_same_bits,
    classic,
    settings,
    statistics_of,
)

COUNTS = (60, 40)
RECIPES = pytest.mark.parametrize("how", [settings(), classic()], ids=["lda", "classic"])


def numbers_of(photos: EmbeddedPhotos) -> Numbers:
    """All numbers, which a test may change."""
    return photos.features._held


def train(
    photos: EmbeddedPhotos, folder: AnyPath, statistics: Path | None = None, progress: Progress | None = None
) -> tuple[Head, TrainedHead]:
    trained = train_head(photos, "snap", folder, statistics, progress or NullProgress())
    return load_head(folder), trained


def test_the_published_head_predicts_and_names_its_inputs(tmp_path: Path) -> None:
    how = settings()
    photos = draw_photos(COUNTS, apart=5, how=how)
    head, trained = train(photos, tmp_path / "head")
    assert (head.labels, head.rooted) == (LABELS[:2], True)
    assert photos.examples(np.ones(100, bool)).score(head).accuracy > 0.9
    facts = json.loads((tmp_path / "head" / "head.json").read_text())
    assert facts["snapshot"] == "snap"
    assert facts["bottlenecks"] == [bottleneck.key for bottleneck in how.bottlenecks]
    assert facts["settings"]["bottlenecks"][0]["backbone"]["size"] == how.bottlenecks[0].backbone.size
    best = facts["choices"][0]
    assert dict(trained.choice) == {name: best[name] for name in ("shrinkage", "layer_weight", "temperature")}
    assert trained.score == (best["accuracy"], best["log_loss"])
    assert best["log_loss"] == min(choice["log_loss"] for choice in facts["choices"])
    assert listed(tmp_path / "head" / "checkpoints") == []


def test_lda_is_fitted_on_the_training_and_validation_splits_and_chosen_by_leaving_their_photos_out(
    tmp_path: Path,
) -> None:
    photos = draw_photos(COUNTS)
    head, trained = train(photos, tmp_path / "head", progress=(told := Tally()))
    fitted = ~photos.of("test")
    assert (told.total, told.unit, told.done, told.lines) == (fitted.sum(), "photo", fitted.sum(), [])
    numbers, truth = numbers_of(photos)[fitted], photos.truth[fitted]
    trainer = LdaTrainer(LDA, photos.features.columns, (0, 1), LABELS[:2])
    expected, ranked = trainer.search(statistics_of(Drawn(numbers, truth), 2), LeftOutPhotos(numbers, truth))
    assert trained.photos == fitted.sum()
    assert [LeftOutScore(**choice) for choice in head.facts["choices"]] == list(ranked)
    assert_same_bits(head, expected)


@RECIPES
def test_test_photos_take_no_part_in_training(tmp_path: Path, how: TrainSettings) -> None:
    photos = draw_photos(COUNTS, how=how)
    one, _ = train(photos, tmp_path / "one")
    numbers_of(photos)[photos.of("test")] = 255
    assert_same_bits(one, train(photos, tmp_path / "two")[0])


@pytest.mark.parametrize("kept", [True, False])
def test_statistics_on_disk_give_the_same_head(kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = draw_photos(COUNTS)
    summed, _ = train(photos, tmp_path / "summed")
    monkeypatch.setattr("tasks.train.tenth_statistics.MAX_SUMMED", 0)
    read, _ = train(photos, tmp_path / "read", tmp_path / "statistics" if kept else None)
    assert (tmp_path / "statistics").exists() == kept
    assert_same_bits(summed, read)


def test_a_head_is_kept_on_an_object_store(object_store: ObjectStore, tmp_path: Path) -> None:
    folder = DataRoot(to_path(object_store.url("data"))).train("head")
    assert_same_bits(train(draw_photos(COUNTS), folder)[0], train(draw_photos(COUNTS), tmp_path)[0])


def test_a_classic_head_is_scored_on_the_validation_split_and_ends_with_the_accuracy_on_the_test_split(
    tmp_path: Path,
) -> None:
    photos = draw_photos(COUNTS, apart=5, how=classic(learning_rate=0.1))
    head, trained = train(photos, tmp_path, progress=(told := Tally()))
    validation = photos.examples(photos.of("validation"))
    predicted, truth = head.probabilities(validation.values), validation.labels
    assert trained.photos == len(truth)
    assert trained.score.accuracy == (predicted.argmax(axis=1) == truth).mean() > 0.8
    assert trained.score.log_loss == pytest.approx(-np.log(predicted[np.arange(len(truth)), truth]).mean(), rel=1e-5)
    assert (trained.choice, head.rooted) == ({}, False)
    assert "choices" not in head.facts
    test = photos.of("test")
    values = (numbers_of(photos)[test, :1, :6] * photos.features.columns.steps[0]) ** 2
    accuracy = 100 * (head.probabilities(values.astype(np.float32)).argmax(axis=1) == photos.truth[test]).mean()
    assert told.lines[-1] == f"Final test accuracy = {accuracy:.1f}% (N={test.sum()})"
    assert len(told.lines) == 4


@RECIPES
def test_the_threshold_of_the_novelty_is_calibrated_on_the_test_split(tmp_path: Path, how: TrainSettings) -> None:
    photos = draw_photos((300, 250), how=how)
    head, _ = train(photos, tmp_path)
    test = photos.of("test")
    novelty = head.predict(photos.examples(test).values).novelty
    assert novelty is not None
    facts = head.facts["novelty"]
    score = "relative energy" if how.rooted else "energy"
    assert (facts["score"], facts["test_photos"], facts["false_alarms"]) == (score, test.sum(), 0.05)
    assert head.threshold == pytest.approx(np.sort(novelty)[int(np.ceil(0.95 * (test.sum() + 1))) - 1], rel=1e-5)


@RECIPES
def test_a_training_announces_itself_before_it_begins(tmp_path: Path, how: TrainSettings) -> None:
    """An evaluator can be started before the first validation line."""
    folder = tmp_path / how.key("snap")

    class Onlooker(Tally):
        def start(self, total: int, unit: str) -> None:
            super().start(total, unit)
            assert read_announced(folder) == Training(how, "snap")
            assert state_of(folder) is TrainingState.RUNNING

    train(draw_photos(COUNTS, how=how), folder, progress=(told := Onlooker()))
    assert told.beginnings > 0
    assert state_of(folder) is TrainingState.ENDED


@pytest.mark.parametrize(("steps", "lines"), [(WORTH_WATCHING, 1), (WORTH_WATCHING - 1, 0)])
def test_only_a_long_training_says_how_to_watch_it(tmp_path: Path, steps: int, lines: int) -> None:
    class Stopped(Tally):
        def start(self, total: int, unit: str) -> None:
            raise InterruptedError(total, unit)

    folder, told = tmp_path / "a head", Stopped()
    with pytest.raises(InterruptedError):
        train(draw_photos(COUNTS, how=classic(steps=steps, batch_size=1)), folder, progress=told)
    assert told.lines == [f"To watch it learn: python -m pipeline watch '{folder}'"][:lines]
