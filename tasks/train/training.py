"""Trains the head of a snapshot and keeps it."""

from dataclasses import asdict
from pathlib import Path

from tasks.artifacts import exclusive
from tasks.progress import Progress
from tasks.train.fit import Choice, Examples, Watch, fit_head
from tasks.train.head import save_head
from tasks.train.photos import Photos
from tasks.train.settings import TrainSettings


def train_head(photos: Photos, settings: TrainSettings, snapshot: str, folder: Path, progress: Progress) -> Choice:
    """Train a head on the training split, choose its weight decay on the validation split, and publish it.

    Goes on from a checkpoint where an earlier try left one; a second process that trains the same head waits.

    Args:
        photos: The snapshot's photos.
        settings: How to train.
        snapshot: The snapshot's key, for the head's facts.
        folder: Where the head and its checkpoints go.
        progress: Told of every epoch.

    Returns:
        The strength of weight decay that was chosen, and how it did.

    Raises:
        StoreError: A checkpoint is damaged.
    """
    everything = Examples(photos.vectors, photos.truth)
    train, validation = everything.take(photos.of("train")), everything.take(photos.of("validation"))
    with exclusive(folder):
        watch = Watch(progress, folder / "checkpoints")
        head, choices = fit_head(train, validation, settings, photos.labels, watch)
        facts = {
            "snapshot": snapshot,
            "bottleneck": settings.bottleneck.key,
            "standardisation": "(sign(x) * sqrt(abs(x)) - mean) / deviation",
            "settings": asdict(settings),
            "choices": [asdict(choice) for choice in choices],
        }
        save_head(head.with_facts(facts), folder)
    return next(choice for choice in choices if choice.l2 == head.facts["l2"])
