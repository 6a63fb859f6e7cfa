"""Trains the head of a snapshot and keeps it."""

import math
import shlex
from dataclasses import asdict

from tasks.artifacts import exclusive
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.train.examples import Choice, Examples, Watch
from tasks.train.fit import fit_head
from tasks.train.head import save_head, validate
from tasks.train.photos import EmbeddedPhotos
from tasks.train.settings import AdamRecipe, TrainSettings
from tasks.train.underway import CHECKPOINTS, Training, announce

#: Bottlenecks that a training draws, from which on it takes long enough for somebody to watch it: some seconds.
WORTH_WATCHING = 400_000


def train_head(
    photos: EmbeddedPhotos, settings: TrainSettings, snapshot: str, folder: AnyPath, progress: Progress
) -> Choice:
    """Train a head on the training split, choose its weight decay on the validation split, and publish it.

    Goes on from a checkpoint where an earlier try left one; a second process that trains the same head waits. The
    classic recipe ends with telling the accuracy on the test split, as retrain.py does.

    Args:
        photos: The snapshot's photos.
        settings: How to train.
        snapshot: The snapshot's key, for the head's facts.
        folder: Where the head and its checkpoints go.
        progress: Told of every epoch or step.

    Returns:
        The strength of weight decay that was chosen, and how it did.

    Raises:
        StoreError: A checkpoint is damaged.
    """
    train = examples_of(photos, "train", settings.training_views)
    validation = examples_of(photos, "validation", settings.predicting_views)
    with exclusive(folder):
        announce(Training(settings, snapshot), folder)
        if _drawn(train, settings) >= WORTH_WATCHING:
            progress.tell(f"To watch it learn: python -m pipeline watch {shlex.quote(str(folder))}")
        watch = Watch(progress, folder / CHECKPOINTS)
        head, choices = fit_head(train, validation, settings, photos.labels, watch)
        if not isinstance(settings.recipe, AdamRecipe):
            test = examples_of(photos, "test", settings.predicting_views)
            accuracy = validate(head, test).accuracy
            progress.tell(f"Final test accuracy = {accuracy:.1%} (N={len(test.labels)})")
        facts = {
            "snapshot": snapshot,
            "bottleneck": settings.bottleneck.key,
            "settings": asdict(settings),
            "choices": [asdict(choice) for choice in choices],
        }
        save_head(head.with_facts(facts), folder)
    return next(choice for choice in choices if choice.l2 == head.facts["l2"])


def examples_of(photos: EmbeddedPhotos, split: str, views: slice) -> Examples:
    """Take the photos of a split, with some of their views."""
    return Examples(photos.vectors, photos.truth).take(photos.of(split), views)


def _drawn(train: Examples, settings: TrainSettings) -> int:
    """How many bottlenecks a training draws."""
    recipe = settings.recipe
    if isinstance(recipe, AdamRecipe):
        return recipe.epochs * math.prod(train.vectors.shape[:2])
    return recipe.steps * recipe.batch_size
