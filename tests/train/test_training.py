"""The head that a stage keeps: trained on one split, chosen on another, with all that is needed to use it."""

import json
from pathlib import Path

import pytest

from tasks.progress import Silence
from tasks.train.head import load_head
from tasks.train.training import WORTH_WATCHING, train_head
from tasks.train.underway import State, Training, read_announced, state_of
from tests.evaluate.drawing import photos_of
from tests.listening import Tally
from tests.train.examples import classic, draw_examples, read, settings

LABELS = ("daisy", "roses")


def test_the_kept_head_predicts_and_names_what_it_stands_on(tmp_path: Path) -> None:
    photos, how = photos_of(draw_examples((60, 40), apart=5), LABELS), settings(l2=(0.01, 1.0))
    best = train_head(photos, how, "snapshot-key", tmp_path / "head", Silence())
    head = load_head(tmp_path / "head")
    assert head.labels == LABELS
    assert (head.probabilities(photos.vectors).argmax(axis=1) == photos.truth).mean() > 0.9
    facts = json.loads((tmp_path / "head" / "head.json").read_text())
    assert facts["snapshot"] == "snapshot-key"
    assert facts["bottleneck"] == how.bottleneck.key
    assert facts["settings"]["bottleneck"]["backbone"]["size"] == how.bottleneck.backbone.size
    assert facts["l2"] == best.l2
    assert {choice["l2"]: choice["log_loss"] for choice in facts["choices"]}[best.l2] == best.log_loss


def test_test_photos_take_no_part_in_training(tmp_path: Path) -> None:
    photos, how = photos_of(draw_examples((60, 40), apart=1), LABELS), settings(l2=(0.1,))
    train_head(photos, how, "", tmp_path / "one", Silence())
    read(photos.vectors)[photos.of("test")] = 1e6
    train_head(photos, how, "", tmp_path / "two", Silence())
    assert (load_head(tmp_path / "one").weights == load_head(tmp_path / "two").weights).all()


def test_classic_ends_with_the_accuracy_on_the_whole_test_split(tmp_path: Path) -> None:
    photos = photos_of(draw_examples((60, 40), apart=5), LABELS)
    train_head(photos, classic(), "", tmp_path / "head", told := Tally())
    test = photos.of("test")
    predicted = load_head(tmp_path / "head").probabilities(read(photos.vectors)[test, :1]).argmax(axis=1)
    accuracy = 100 * (predicted == photos.truth[test]).mean()
    assert told.lines[-1] == f"Final test accuracy = {accuracy:.1f}% (N={test.sum()})"
    assert len(told.lines) == 4


def test_a_training_tells_what_it_trains_before_it_begins(tmp_path: Path) -> None:
    """Told of before the first validation line, a watcher can be started."""
    how = classic()
    folder = tmp_path / how.key("snap")

    class Onlooker(Tally):
        def start(self, total: int, unit: str) -> None:
            super().start(total, unit)
            assert read_announced(folder) == Training(how, "snap")
            assert state_of(folder) is State.UNDERWAY

    train_head(photos_of(draw_examples((60, 40)), LABELS), how, "snap", folder, told := Onlooker())
    assert told.beginnings == 1


@pytest.mark.parametrize(("steps", "lines"), [(WORTH_WATCHING, 1), (WORTH_WATCHING - 1, 0)])
def test_only_a_long_training_says_how_to_watch_it(tmp_path: Path, steps: int, lines: int) -> None:
    class Stopped(Tally):
        def start(self, total: int, unit: str) -> None:
            raise InterruptedError(total, unit)

    folder, told = tmp_path / "a head", Stopped()
    with pytest.raises(InterruptedError):
        train_head(photos_of(draw_examples((60, 40)), LABELS), classic(steps=steps, batch_size=1), "", folder, told)
    assert told.lines == [f"To watch it learn: python -m pipeline watch '{folder}'"][:lines]
