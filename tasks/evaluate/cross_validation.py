"""Cross-validation: the same recipe on every fold, so that each photo is predicted by a head that never saw it."""

from tasks.errors import DatasetError
from tasks.evaluate.metrics import wilson_interval
from tasks.evaluate.report import CrossValidation
from tasks.progress import Progress, Silence
from tasks.snapshot.splits import assign_folds
from tasks.train.examples import Examples, Watch
from tasks.train.fit import fit_head
from tasks.train.photos import EmbeddedPhotos
from tasks.train.settings import TrainSettings


def cross_validate(photos: EmbeddedPhotos, settings: TrainSettings, folds: int, progress: Progress) -> CrossValidation:
    """Measure the accuracy of a recipe over all photos.

    A fold's head is trained on the photos of the other folds, less those of the validation split, on which its weight
    decay is chosen; the photos of the fold itself are then predicted.

    Args:
        photos: The photos.
        settings: The recipe.
        folds: How many folds.
        progress: Told of every fold.

    Raises:
        DatasetError: There are so few photos that all of them fell into one fold.
    """
    fold_of = assign_folds(photos.sha256, folds)
    everything = Examples(photos.vectors, photos.truth)
    correct = total = 0
    progress.start(folds, "fold")
    for fold in range(folds):
        held_out = fold_of == fold
        validation = ~held_out & photos.of("validation")
        train = ~held_out & ~photos.of("validation")
        progress.advance(1)
        # Of a few dozen photos a fold can be empty, or hold all of the training or validation split.
        if not held_out.any() or not train.any():
            continue
        validation = validation if validation.any() else train
        examples = (
            everything.take(train, settings.training_views),
            everything.take(validation, settings.predicting_views),
        )
        head, _ = fit_head(*examples, settings, photos.labels, Watch(Silence()))
        predicted = head.probabilities(photos.vectors[held_out, settings.predicting_views]).argmax(axis=1)
        correct += int((predicted == photos.truth[held_out]).sum())
        total += len(predicted)
    if not total:
        raise DatasetError(
            f"{len(photos.sha256)} photos are too few for a cross-validation in {folds} folds: all of them fell into "
            "one. Add photos, or give more --folds."
        )
    return CrossValidation(folds, correct / total, wilson_interval(correct, total))
