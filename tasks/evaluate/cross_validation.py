"""Cross-validation: the same recipe on every fold, so that each photo is predicted by a head that never saw it."""

from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np

from tasks.errors import DatasetError
from tasks.paths import AnyPath
from tasks.progress import NullProgress, Progress
from tasks.snapshot.splits import TENTHS, fold_tenths
from tasks.train.examples import Floats, LeftOutScore, TrainingContext
from tasks.train.features import head_values
from tasks.train.fit_lda import Solver
from tasks.train.head import Head
from tasks.train.photos import EmbeddedPhotos
from tasks.train.settings import ClassicRecipe
from tasks.train.statistics import Statistics
from tasks.train.tenths import tenth_statistics


def fold_heads(
    photos: EmbeddedPhotos, head: Head, folds: int, statistics: AnyPath | None, progress: Progress
) -> tuple[Head | None, ...]:
    """Train a head for each fold without the photos of that fold.

    A head of `lda` is solved for from the statistics of all photos less those of the fold. Shrinkage, layer weight and
    temperature are those of the head that the recipe gave on its splits. Choosing them anew for each fold, on photos of
    other folds, made no difference: 94.8 in place of 94.9 % of flower photos were right, with a log loss of 0.164 in
    place of 0.161.

    Args:
        photos: The photos; their features say how to train.
        head: What the recipe gave on its splits.
        folds: How many folds.
        statistics: Where the statistics of the photos' dataset are kept; None keeps none.
        progress: Told of every fold.

    Returns:
        A head for each fold; None where the fold has no photo.

    Raises:
        DatasetError: There are so few photos that all of them fell into one fold.
    """
    tenths = fold_tenths(folds)
    sizes = [int(photos.in_tenths(own).sum()) for own in tenths]
    if max(sizes) == sum(sizes):
        raise DatasetError(
            f"{len(photos.sha256)} photos are too few for a cross-validation in {folds} folds: all of them fell into "
            "one. Add photos, or give more --folds."
        )
    with_photos = [own for own, size in zip(tenths, sizes, strict=True) if size]
    if photos.features.settings.rooted:
        trained = _lda_heads(photos, head, with_photos, statistics)
    else:
        trained = _classic_heads(photos, with_photos)
    progress.start(folds, "fold")
    heads = []
    for size in sizes:
        heads.append(next(trained) if size else None)
        progress.advance(1)
    return tuple(heads)


def _lda_heads(
    photos: EmbeddedPhotos, head: Head, folds: Sequence[tuple[int, ...]], folder: AnyPath | None
) -> Iterator[Head]:
    solver, choice = Solver.of(photos.features.settings, photos.labels), LeftOutScore(**head.facts["choices"][0])
    with tenth_statistics(photos, folder, NullProgress()) as statistics:
        known = statistics.union(range(TENTHS))
        rest = Statistics.none(len(photos.labels), photos.features.shape[2], known.scratch)
        for own in folds:
            rest.become(known)
            statistics.add(own, rest, sign=-1)
            yield solver.fit(rest, choice)


def _classic_heads(photos: EmbeddedPhotos, folds: Sequence[tuple[int, ...]]) -> Iterator[Head]:
    from tasks.train import classic  # noqa: PLC0415 (imports TensorFlow)

    settings = photos.features.settings
    for own in folds:
        held_out, validation = photos.in_tenths(own), photos.of("validation")
        train = ~held_out & ~validation
        train = train if train.any() else ~held_out
        watched = ~held_out & validation
        lesson = classic.training_data_of(photos, train, watched if watched.any() else train)
        recipe = cast("ClassicRecipe", settings.recipe)
        yield classic.fit(lesson, photos.labels, recipe, settings.seed, TrainingContext(NullProgress()))


def predict_photos(
    photos: EmbeddedPhotos, head: Head, folds: Sequence[Head | None], progress: Progress
) -> tuple[Floats, Floats | None]:
    """Predict all photos, each by the head and by that of the fold that it is in; their bottlenecks are read once.

    Args:
        photos: The photos, N of C labels.
        head: The head.
        folds: The heads of the folds, in their order; none where there is no cross-validation.
        progress: Told of every photo.

    Returns:
        float32 [N, C] each; the latter is None where there are no folds.
    """
    everything = np.ones(len(photos.sha256), bool)
    predicted = np.empty((len(everything), len(photos.labels)), np.float32)
    crossed = np.empty_like(predicted)
    fold_of = np.zeros(TENTHS, np.int8)
    for fold, own in enumerate(fold_tenths(len(folds)) if folds else ()):
        fold_of[list(own)] = fold
    progress.start(len(everything), "photo")
    for places, numbers in photos.features.blocks(everything):
        values = head_values(numbers, photos.features.settings, photos.features.columns)
        predicted[places] = head.probabilities(values)
        own_folds = fold_of[photos.splits.tenths[places]]
        for fold, other in enumerate(folds):
            here = own_folds == fold
            if other is not None and here.any():
                crossed[places[here]] = other.probabilities(values[here])
        progress.advance(len(places))
    return predicted, crossed if folds else None
