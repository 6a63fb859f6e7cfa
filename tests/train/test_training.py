"""The head that a stage keeps: trained on one split, chosen on another, with all that is needed to use it."""

import json
from pathlib import Path

from tasks.progress import Silence
from tasks.train.head import load_head
from tasks.train.training import train_head
from tests.evaluate.drawing import photos_of
from tests.train.examples import draw_examples, settings

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
    assert facts["settings"]["bottleneck"]["decode"]["size"] == how.bottleneck.decode.size
    assert facts["l2"] == best.l2
    assert {choice["l2"]: choice["log_loss"] for choice in facts["choices"]}[best.l2] == best.log_loss


def test_test_photos_take_no_part_in_training(tmp_path: Path) -> None:
    photos, how = photos_of(draw_examples((60, 40), apart=1), LABELS), settings(l2=(0.1,))
    train_head(photos, how, "", tmp_path / "one", Silence())
    photos.vectors[photos.of("test")] = 1e6
    train_head(photos, how, "", tmp_path / "two", Silence())
    assert (load_head(tmp_path / "one").weights == load_head(tmp_path / "two").weights).all()
