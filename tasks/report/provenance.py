"""Provenance of a result: keys, parameters, model and versions."""

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

_CROPS: Mapping[Crop, str] = {"centre": "square from the centre", "stretch": "squeezed into a square"}
PACKAGES = ("tensorflow", "keras", "openvino", "scipy", "numpy", "pillow", "pyarrow", "luigi")


def describe_provenance(run: ReportedRun) -> dict[str, dict[str, str]]:
    """Describe how a result came about.

    Returns:
        Values by name, in the groups keys, parameters, model and versions, in the order to be shown.
    """
    train, stages = run.settings.train, run.stages
    details = stages["train"].details
    return {
        "Keys": {"snapshot": run.snapshot, **{name: stage.key for name, stage in stages.items()}},
        "Parameters": {f"--{name.replace('_', '-')}": value for name, value in run.parameters.items()},
        "Model": _describe_head(train, details)
        if isinstance(train, TrainSettings)
        else _describe_network(train, details),
        "Versions": {
            **{name: version(name) for name in PACKAGES},
            "Python": platform.python_version(),
            "platform": platform.platform(),
        },
    }


def _describe_backbone(backbone: Backbone, crops: Sequence[Crop]) -> dict[str, str]:
    crop = " and ".join(_CROPS[crop] for crop in crops)
    # A model of keras.applications scales by its own function.
    scaling = SCALINGS[backbone.scaling].formula if backbone.scaling in SCALINGS else "the model's own scaling"
    return {
        "backbone": backbone.name,
        "weights of the backbone": f"sha256 {backbone.weights_sha256}",
        "input": f"{backbone.size} x {backbone.size} px, {crop}, {backbone.resampling}, {scaling}",
    }


def _describe_head(train: TrainSettings, details: Mapping[str, Any]) -> dict[str, str]:
    values: dict[str, str] = {}
    for number, bottlenecks in enumerate(train.by_backbone, start=1):
        suffix = "" if number == 1 else f" ({number})"
        values |= {f"{name}{suffix}": value for name, value in _describe_bottlenecks(bottlenecks).items()}
    first = train.crops[0]
    plain = "plain" if first.views == 1 else "plain and mirrored"
    each = ", of each crop" if len(train.crops) > 1 else ""
    views = {"views": f"{plain}{each}{_describe_distortion(first.distortion)}"}
    return {**values, **views, **_describe_recipe(train.recipe, train.seed, details)}


def _describe_bottlenecks(bottlenecks: Sequence[BottleneckSettings]) -> dict[str, str]:
    """Describe the bottlenecks of one backbone, of one or more crops."""
    first, backbone = bottlenecks[0], bottlenecks[0].backbone
    layers = ", ".join(backbone.layers)
    return {
        **_describe_backbone(backbone, [bottleneck.backbone.crop for bottleneck in bottlenecks]),
        "layers": f"{layers} ({backbone.width:,} numbers)",
        "precision": first.precision,
        "stored in": first.quantisation.dtype,
    }


def _describe_distortion(distortion: Distortion | None) -> str:
    if distortion is None:
        return ""
    kinds = {
        "mirrored": "half" if distortion.flip_left_right else "",
        "cropped": f"{distortion.random_crop} %" if distortion.random_crop else "",
        "enlarged": f"up to {distortion.random_scale} %" if distortion.random_scale else "",
        "brightness": f"up to {distortion.random_brightness} %" if distortion.random_brightness else "",
    }
    listed = ", ".join(f"{kind} {how}" for kind, how in kinds.items() if how)
    return f", and {distortion.views} distorted to train on ({listed}, seed {distortion.seed})"


def _describe_recipe(recipe: LdaRecipe | ClassicRecipe, seed: int, details: Mapping[str, Any]) -> dict[str, str]:
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


def _describe_network(train: FinetuneSettings, details: Mapping[str, Any]) -> dict[str, str]:
    return {
        **_describe_backbone(train.backbone, [train.backbone.crop]),
        "training": f"finetune: all weights, {train.epochs} epochs asked for, {details['steps']:,} steps of "
        f"{train.batch_size} photos made, rate {train.learning_rate:g}, half the photos mirrored, seed {train.seed}",
    }
