"""What a result came from, as the report tells it: keys, settings and versions."""

import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from tasks.backbone.backbones import Backbone
from tasks.backbone.scaling import SCALINGS
from tasks.bottleneck.settings import Distortion
from tasks.report.occasion import Occasion
from tasks.train.settings import AdamRecipe, ClassicRecipe, FinetuneSettings, TrainSettings

PACKAGES = ("tensorflow", "keras", "scikit-learn", "numpy", "pillow", "pyarrow", "luigi")


def tell_provenance(occasion: Occasion) -> dict[str, dict[str, str]]:
    """Tell what a result came from.

    Returns:
        What to show by its name in groups: keys, parameters, model, versions; in the order to be shown.
    """
    train, stages = occasion.settings.train, occasion.stages
    details = stages["train"].details
    return {
        "Keys": {"snapshot": occasion.snapshot, **{name: stage.key for name, stage in stages.items()}},
        "Parameters": {f"--{name.replace('_', '-')}": value for name, value in occasion.parameters.items()},
        "Model": {
            "backbone": train.backbone.name,
            "weights of the backbone": f"sha256 {train.backbone.weights_sha256}",
            "input": _input(train.backbone),
            **(_of_head(train, details) if isinstance(train, TrainSettings) else _of_network(train, details)),
        },
        "Versions": {
            **{name: version(name) for name in PACKAGES},
            "Python": platform.python_version(),
            "platform": platform.platform(),
        },
    }


def _input(backbone: Backbone) -> str:
    crop = "square from the centre" if backbone.crop == "centre" else "squeezed into a square"
    # A model of keras.applications scales by its own function.
    scaling = SCALINGS[backbone.scaling].formula if backbone.scaling in SCALINGS else "the model's own scaling"
    return f"{backbone.size} x {backbone.size} px, {crop}, {backbone.resampling}, {scaling}"


def _of_head(train: TrainSettings, details: Mapping[str, Any]) -> dict[str, str]:
    bottleneck = train.bottleneck
    plain = "plain" if bottleneck.views == 1 else "plain and mirrored"
    views = {
        "precision": bottleneck.precision,
        "stored in": bottleneck.dtype,
        "views": f"{plain}{_drawn(bottleneck.distortion)}",
    }
    return {**views, **_of_recipe(train.recipe, train.seed, details)}


def _drawn(distortion: Distortion | None) -> str:
    if distortion is None:
        return ""
    kinds = {
        "mirrored": "half" if distortion.flip_left_right else "",
        "cropped": f"{distortion.random_crop} %" if distortion.random_crop else "",
        "enlarged": f"up to {distortion.random_scale} %" if distortion.random_scale else "",
        "brightness": f"up to {distortion.random_brightness} %" if distortion.random_brightness else "",
    }
    told = ", ".join(f"{kind} {how}" for kind, how in kinds.items() if how)
    return f", and {distortion.views} distorted to train on ({told}, seed {distortion.seed})"


def _of_recipe(recipe: AdamRecipe | ClassicRecipe, seed: int, details: Mapping[str, Any]) -> dict[str, str]:
    if isinstance(recipe, ClassicRecipe):
        return {
            "training": f"classic: {recipe.steps:,} steps of gradient descent, batches of {recipe.batch_size} drawn "
            f"with replacement, rate {recipe.learning_rate:g}, seed {seed}"
        }
    return {
        "L2": f"{details['l2']:g}, chosen from {', '.join(f'{l2:g}' for l2 in recipe.l2)}",
        "training": f"adam: at least {recipe.epochs} epochs, batches of {recipe.batch_size}, rate "
        f"{recipe.learning_rate:g}, averaging {recipe.averaging:g}, class weights "
        f"{'on' if recipe.class_weights else 'off'}, seed {seed}",
    }


def _of_network(train: FinetuneSettings, details: Mapping[str, Any]) -> dict[str, str]:
    return {
        "training": f"finetune: all weights, {train.epochs} epochs asked for, {details['steps']:,} steps of "
        f"{train.batch_size} photos made, rate {train.learning_rate:g}, half the photos mirrored, seed {train.seed}"
    }
