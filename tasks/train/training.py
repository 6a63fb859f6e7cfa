"""Trains the head of a snapshot and keeps it."""

import shlex
from collections.abc import Mapping
from dataclasses import asdict
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.snapshot.splits import SPLIT_TENTHS
from tasks.storage.locks import lock_folder
from tasks.train.examples import Examples, TrainingContext, mark
from tasks.train.features import read_values
from tasks.train.fit_lda import Sample, Solver, choose_left_out
from tasks.train.head import Head, save_head
from tasks.train.photos import EmbeddedPhotos
from tasks.train.settings import ClassicRecipe, LdaRecipe
from tasks.train.tenths import tenth_statistics
from tasks.train.training_state import CHECKPOINTS, Training, announce

#: Bottlenecks that a training draws, from which on it takes long enough for somebody to watch it: some seconds.
WORTH_WATCHING = 400_000


class Trained(NamedTuple):
    """A head that was trained.

    Args:
        photos: Photos that it was measured on: of `lda` those that were left out one at a time, of `classic` those of
            the validation split.
        accuracy: Share of them that were right.
        log_loss: Mean negative log of the probability given to their right labels.
        choice: What was chosen on them, by name; empty of a classic head.
    """

    photos: int
    accuracy: float
    log_loss: float
    choice: Mapping[str, float]


def train_head(
    photos: EmbeddedPhotos, snapshot: str, folder: AnyPath, statistics: AnyPath | None, progress: Progress
) -> Trained:
    """Train a head and publish it; a second process that trains the same head waits.

    A head of `lda` is fitted on the training and validation splits, and chosen by leaving single photos of them out. A
    classic one is trained on the training split; it goes on from a checkpoint where an earlier try left one, and ends
    with telling the accuracy on the test split, as retrain.py does.

    Args:
        photos: The snapshot's photos; their features say how to train.
        snapshot: The snapshot's key, for the head's facts.
        folder: Where the head and its checkpoints go.
        statistics: Where the statistics of the photos' dataset are kept; None keeps none.
        progress: Told of every photo that is summed up, or of every step.

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
            "snapshot": snapshot,
            "bottlenecks": [bottleneck.key for bottleneck in settings.bottlenecks],
            "settings": asdict(settings),
        }
        save_head(head.with_facts(facts), folder)
    return trained


def _fit_lda(photos: EmbeddedPhotos, folder: AnyPath | None, progress: Progress) -> tuple[Head, Trained]:
    fitted = (*SPLIT_TENTHS["train"], *SPLIT_TENTHS["validation"])
    solver = Solver.of(photos.features.settings, photos.labels)
    with tenth_statistics(photos, folder, progress) as statistics:
        known = statistics.union(fitted)
    sample = sample_rows(photos, photos.in_tenths(fitted))
    head, choices = solver.choose(known, sample)
    best = choices[0]
    choice = {name: getattr(best, name) for name in ("shrinkage", "layer_weight", "temperature")}
    head = head.with_facts({"choices": [asdict(choice) for choice in choices]})
    return head, Trained(len(sample.labels), best.accuracy, best.log_loss, choice)


def _fit_classic(
    photos: EmbeddedPhotos, recipe: ClassicRecipe, folder: AnyPath, progress: Progress
) -> tuple[Head, Trained]:
    from tasks.train import classic  # noqa: PLC0415 (imports TensorFlow)

    if recipe.steps * recipe.batch_size >= WORTH_WATCHING:
        progress.tell(f"To watch it learn: python -m pipeline watch {shlex.quote(str(folder))}")
    lesson = classic.training_data_of(photos, photos.of("train"), photos.of("validation"))
    watch, seed = TrainingContext(progress, folder / CHECKPOINTS), photos.features.settings.seed
    head = classic.fit(lesson, photos.labels, recipe, seed, watch)
    test = _examples(photos, photos.of("test"))
    accuracy = mark(head.probabilities(test.values), test.labels).accuracy
    progress.tell(f"Final test accuracy = {accuracy:.1%} (N={len(test.labels)})")
    found = mark(head.probabilities(lesson.validation.values), lesson.validation.labels)
    return head, Trained(len(lesson.validation.labels), *found, choice={})


def sample_rows(photos: EmbeddedPhotos, which: npt.NDArray[np.bool_]) -> Sample:
    """Take photos to be left out one at a time, of those that are fitted on, bool [N]: some with the smallest keys."""
    some = which.copy()
    some[which] = choose_left_out(photos.truth[which])
    return Sample(photos.features.read(some, range(photos.features.shape[1])), photos.truth[some])


def _examples(photos: EmbeddedPhotos, which: npt.NDArray[np.bool_]) -> Examples:
    return Examples(read_values(photos.features, which), photos.truth[which])
