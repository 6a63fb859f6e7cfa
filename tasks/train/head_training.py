"""Trains the head of a snapshot and publishes it."""

import shlex
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, NamedTuple

import numpy as np

from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.snapshot.splits import SPLIT_TENTHS
from tasks.storage.files import lock_folder
from tasks.train.features import head_values
from tasks.train.head import Head, save_head
from tasks.train.lda_training import LdaTrainer, read_left_out
from tasks.train.novelty import FALSE_ALARMS, calibrate
from tasks.train.photos import EmbeddedPhotos, keep_photos
from tasks.train.scores import Score
from tasks.train.settings import ClassicRecipe, LdaRecipe
from tasks.train.tenth_statistics import tenth_statistics
from tasks.train.training_state import CHECKPOINTS, Training, TrainingContext, announce

#: Bottlenecks in all steps of a training from which on it takes some seconds, long enough for watching it.
WORTH_WATCHING = 400_000
#: Test photos that calibrate the novelty at most: the rate of false alarms then varies by 0.2 points.
MAX_TEST_PHOTOS = 10_000


class TrainedHead(NamedTuple):
    """Result of a training."""

    #: Photos that the head was scored on: of `lda` those that were left out one at a time, of `classic` those of the
    #: validation split.
    photos: int
    score: Score  #: Score on them.
    choice: Mapping[str, float]  #: Parameters that were chosen on them, by name; empty of a classic head.


def train_head(
    photos: EmbeddedPhotos, snapshot: str, folder: AnyPath, statistics: AnyPath | None, progress: Progress
) -> TrainedHead:
    """Train a head on a snapshot's photos and publish it; a second process that trains the same head waits.

    An `lda` head is fitted on the training and validation splits. A classic one is trained on the training split; it
    resumes from a checkpoint, and at the end reports the accuracy on the test split, as retrain.py does.

    Args:
        photos: The snapshot's photos; their features have the settings of the head.
        snapshot: Key of the snapshot.
        folder: Folder of the head and its checkpoints.
        statistics: Folder that caches the statistics of the photos' dataset; None caches none.
        progress: Counts the photos that are summed up, or the steps.

    Raises:
        StoreError: A checkpoint is damaged.
    """
    settings = photos.features.settings
    with lock_folder(folder):
        announce(Training(settings, snapshot), folder)
        if isinstance(settings.recipe, LdaRecipe):
            head, trained = _fit_lda(photos, statistics, progress)
        else:
            head, trained = _fit_classic(photos, settings.recipe, folder, progress)
        facts = {
            **head.facts,
            "novelty": _calibrate_novelty(head, photos),
            "snapshot": snapshot,
            "bottlenecks": [bottleneck.key for bottleneck in settings.bottlenecks],
            "settings": asdict(settings),
        }
        save_head(replace(head, facts=facts), folder)
    keep_photos(settings.key(snapshot), photos)
    return trained


def _fit_lda(photos: EmbeddedPhotos, folder: AnyPath | None, progress: Progress) -> tuple[Head, TrainedHead]:
    fitted = (*SPLIT_TENTHS["train"], *SPLIT_TENTHS["validation"])
    with tenth_statistics(photos, folder, progress) as statistics:
        total = statistics.union(fitted)
    left_out = read_left_out(photos, photos.in_tenths(fitted))
    head, ranked = LdaTrainer.of(photos.features.settings, photos.labels).search(total, left_out)
    best = ranked[0]
    choice = {name: getattr(best, name) for name in ("shrinkage", "layer_weight", "temperature")}
    head = replace(head, facts={"choices": [asdict(score) for score in ranked]})
    return head, TrainedHead(len(left_out.labels), Score(best.accuracy, best.log_loss), choice)


def _calibrate_novelty(head: Head, photos: EmbeddedPhotos) -> dict[str, Any]:
    """Measure the novelty of the test photos, and return the facts for head.json; see `calibrate`."""
    features, test = photos.features, photos.of("test")
    # Photos are sorted by hashes, so that the first ones are a random sample.
    test &= np.cumsum(test) <= MAX_TEST_PHOTOS
    blocks = (head_values(numbers, features.settings, features.columns) for _, numbers in features.blocks(test))
    novelty = np.concatenate([np.empty(0, np.float32), *(head.predict(values).novelty for values in blocks)])
    score = "energy" if head.background is None else "relative energy"
    return {"score": score, **calibrate(novelty, FALSE_ALARMS)}


def _fit_classic(
    photos: EmbeddedPhotos, recipe: ClassicRecipe, folder: AnyPath, progress: Progress
) -> tuple[Head, TrainedHead]:
    from tasks.train import classic  # noqa: PLC0415 (imports TensorFlow)

    if recipe.steps * recipe.batch_size >= WORTH_WATCHING:
        progress.tell(f"To watch it learn: python -m pipeline watch {shlex.quote(str(folder))}")
    data = classic.read_training_data(photos, photos.of("train"), photos.of("validation"))
    context = TrainingContext(progress, folder / CHECKPOINTS)
    head = classic.fit(data, photos.labels, recipe, photos.features.settings.seed, context)
    test = photos.examples(photos.of("test"))
    progress.tell(f"Final test accuracy = {test.score(head).accuracy:.1%} (N={len(test.labels)})")
    return head, TrainedHead(len(data.validation.labels), data.validation.score(head), choice={})
