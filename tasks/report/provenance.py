"""What a result came from, as the report tells it: keys, settings and versions."""

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from tasks.backbone.backbones import Backbone
from tasks.backbone.scaling import SCALINGS
from tasks.bottleneck.settings import BottleneckSettings, Distortion
from tasks.decode.settings import Crop
from tasks.report.reported_run import ReportedRun
from tasks.train.settings import ClassicRecipe, FinetuneSettings, LdaRecipe, TrainSettings

#: What a crop shows, for people.
_CROPS: Mapping[Crop, str] = {"centre": "square from the centre", "stretch": "squeezed into a square"}
PACKAGES = ("tensorflow", "keras", "openvino", "scipy", "scikit-learn", "numpy", "pillow", "pyarrow", "luigi")


def tell_provenance(occasion: ReportedRun) -> dict[str, dict[str, str]]:
    """Tell what a result came from.

    Returns:
        What to show by its name in groups: keys, parameters, model, versions; in the order to be shown.
    """
    train, stages = occasion.settings.train, occasion.stages
    details = stages["train"].details
    return {
        "Keys": {"snapshot": occasion.snapshot, **{name: stage.key for name, stage in stages.items()}},
        "Parameters": {f"--{name.replace('_', '-')}": value for name, value in occasion.parameters.items()},
        "Model": _of_head(train, details) if isinstance(train, TrainSettings) else _of_network(train, details),
        "Versions": {
            **{name: version(name) for name in PACKAGES},
            "Python": platform.python_version(),
            "platform": platform.platform(),
        },
    }


def _of_backbone(backbone: Backbone, crops: Sequence[Crop]) -> dict[str, str]:
    return {
        "backbone": backbone.name,
        "weights of the backbone": f"sha256 {backbone.weights_sha256}",
        "input": _input(backbone, crops),
    }


def _input(backbone: Backbone, crops: Sequence[Crop]) -> str:
    crop = " and ".join(_CROPS[crop] for crop in crops)
    # A model of keras.applications scales by its own function.
    scaling = SCALINGS[backbone.scaling].formula if backbone.scaling in SCALINGS else "the model's own scaling"
    return f"{backbone.size} x {backbone.size} px, {crop}, {backbone.resampling}, {scaling}"


def _of_head(train: TrainSettings, details: Mapping[str, Any]) -> dict[str, str]:
    told: dict[str, str] = {}
    for number, same in enumerate(train.by_backbone, start=1):
        own = _of_bottlenecks(same)
        told |= own if number == 1 else {f"{name} ({number})": value for name, value in own.items()}
    first = train.crops[0]
    plain = "plain" if first.views == 1 else "plain and mirrored"
    each = ", of each crop" if len(train.crops) > 1 else ""
    views = {"views": f"{plain}{each}{_drawn(first.distortion)}"}
    return {**told, **views, **_of_recipe(train.recipe, train.seed, details)}


def _of_bottlenecks(same: Sequence[BottleneckSettings]) -> dict[str, str]:
    """Tell of the bottlenecks of a backbone, of whichever crops."""
    first, backbone = same[0], same[0].backbone
    layers = ", ".join(backbone.layers)
    return {
        **_of_backbone(backbone, [bottleneck.backbone.crop for bottleneck in same]),
        "layers": f"{layers} ({backbone.width:,} numbers)",
        "precision": first.precision,
        "stored in": first.quantisation.dtype,
    }


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


def _of_recipe(recipe: LdaRecipe | ClassicRecipe, seed: int, details: Mapping[str, Any]) -> dict[str, str]:
    if isinstance(recipe, ClassicRecipe):
        return {
            "training": f"classic on the last layer: {recipe.steps:,} steps of gradient descent, batches of "
            f"{recipe.batch_size} drawn with replacement, rate {recipe.learning_rate:g}, seed {seed}"
        }
    weight = _chosen(details["layer_weight"], recipe.layer_weights)
    return {
        "shrinkage": _chosen(details["shrinkage"], recipe.shrinkage),
        **({"weight of earlier layers": weight} if len(recipe.layer_weights) > 1 else {}),
        "temperature": f"{details['temperature']:.3g}",
        "training": "lda: linear discriminant analysis in closed form, class weights "
        f"{'on' if recipe.class_weights else 'off'}",
    }


def _chosen(number: float, candidates: Sequence[float]) -> str:
    return f"{number:g}, chosen from {', '.join(f'{each:g}' for each in candidates)}"


def _of_network(train: FinetuneSettings, details: Mapping[str, Any]) -> dict[str, str]:
    return {
        **_of_backbone(train.backbone, [train.backbone.crop]),
        "training": f"finetune: all weights, {train.epochs} epochs asked for, {details['steps']:,} steps of "
        f"{train.batch_size} photos made, rate {train.learning_rate:g}, half the photos mirrored, seed {train.seed}",
    }
