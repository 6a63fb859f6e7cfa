"""Trains a head by the recipe of its settings."""

from tasks.train import adam, classic
from tasks.train.examples import Choice, Examples, Lesson, Watch
from tasks.train.head import Head
from tasks.train.settings import AdamRecipe, TrainSettings


def fit_head(
    train: Examples, validation: Examples, settings: TrainSettings, labels: tuple[str, ...], watch: Watch
) -> tuple[Head, tuple[Choice, ...]]:
    """Train a head.

    The same arguments give the same head on the same machine.

    Args:
        train: The training photos, with the views that train.
        validation: The validation photos, with the views that predict.
        settings: How to train.
        labels: The labels in order; C of them.
        watch: Who is told, and where checkpoints go.

    Returns:
        The head, and how each strength of weight decay did on the validation split.

    Raises:
        StoreError: The checkpoint to go on from is damaged.
    """
    recipe, lesson = settings.recipe, Lesson(train, validation, labels)
    if isinstance(recipe, AdamRecipe):
        return adam.fit(lesson, recipe, settings.seed, watch)
    return classic.fit(lesson, recipe, settings.seed, watch)
