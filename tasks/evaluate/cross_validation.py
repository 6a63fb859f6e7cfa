"""Cross-validation: the same recipe on every fold, so that each photo is predicted by a head that never saw it."""

import numpy as np
import numpy.typing as npt

from tasks.cores import available_cores
from tasks.errors import DatasetError
from tasks.evaluate.metrics import CrossValidation, wilson_interval
from tasks.progress import Progress, Silence
from tasks.snapshot.splits import assign_folds
from tasks.threads import in_threads
from tasks.train.examples import Examples, Watch
from tasks.train.fit import fit_head
from tasks.train.photos import EmbeddedPhotos
from tasks.train.settings import TrainSettings
from tasks.train.vectors import MOST_IN_MEMORY


def cross_validate(photos: EmbeddedPhotos, settings: TrainSettings, folds: int, progress: Progress) -> CrossValidation:
    """Measure the accuracy of a recipe over all photos.

    A fold's head is trained on the photos of the other folds, less those of the validation split, on which its weight
    decay is chosen; the photos of the fold itself are then predicted. A small head keeps one core busy, so several
    folds are trained at once, as many as there is memory for.

    Args:
        photos: The photos.
        settings: The recipe.
        folds: How many folds.
        progress: Told of every fold.

    Raises:
        DatasetError: There are so few photos that all of them fell into one fold.
    """
    fold_of = assign_folds(photos.sha256, folds)
    at_once = max(1, min(available_cores(), MOST_IN_MEMORY // photos.vectors.nbytes))
    correct = total = 0
    progress.start(folds, "fold")
    for hits in in_threads(lambda fold: _test_fold(photos, settings, fold_of == fold), range(folds), at_once):
        progress.advance(1)
        correct += int(hits.sum())
        total += len(hits)
    if not total:
        raise DatasetError(
            f"{len(photos.sha256)} photos are too few for a cross-validation in {folds} folds: all of them fell into "
            "one. Add photos, or give more --folds."
        )
    return CrossValidation(folds, correct / total, wilson_interval(correct, total))


def _test_fold(
    photos: EmbeddedPhotos, settings: TrainSettings, held_out: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Train without some photos, bool [N], and test on them: whether each of the n is predicted rightly, bool [n]."""
    everything = Examples(photos.vectors, photos.truth)
    validation = ~held_out & photos.of("validation")
    train = ~held_out & ~photos.of("validation")
    # Of a few dozen photos a fold can be empty, or hold all of the training or validation split.
    if not held_out.any() or not train.any():
        return np.empty(0, bool)
    validation = validation if validation.any() else train
    examples = (
        everything.take(train, settings.training_views),
        everything.take(validation, settings.predicting_views),
    )
    head, _ = fit_head(*examples, settings, photos.labels, Watch(Silence()))
    test = everything.take(held_out, settings.predicting_views)
    hits: npt.NDArray[np.bool_] = head.probabilities(test.vectors).argmax(axis=1) == test.labels
    return hits
