"""The provenance: each way to train tells what shaped its result."""

from dataclasses import replace

import pytest

from tasks.bottleneck.settings import Distortion
from tasks.evaluate.provenance import tell_provenance
from tasks.evaluate.settings import EvaluateSettings
from tasks.train.settings import FinetuneSettings, TrainSettings
from tests.bottleneck.pictures import manifest_of
from tests.train.examples import BOTTLENECK, classic, settings

BACKBONE = BOTTLENECK.backbone
FINETUNE = FinetuneSettings(BACKBONE, "jpeg", epochs=5, batch_size=32, learning_rate=0.0003, seed=9)
DISTORTION = Distortion(8, flip_left_right=True, random_crop=10, random_scale=0, random_brightness=20, seed=4)


def provenance(train: TrainSettings | FinetuneSettings, **details: object) -> dict[str, str]:
    """What is told of a training whose manifest has these details."""
    stages = {stage: manifest_of(stage, 10, []) for stage in ("decode", "train")}
    stages["train"] = replace(stages["train"], key="trained", details=details)
    return tell_provenance("snap", EvaluateSettings(train, folds=0), stages)


def with_backbone(**changes: object) -> FinetuneSettings:
    return replace(FINETUNE, backbone=replace(BACKBONE, **changes))  # type: ignore[arg-type]  # each of its own type


def test_keys_of_all_stages_are_told() -> None:
    told = provenance(settings(), l2=0.1)
    assert told["snapshot"] == "snap"
    assert (told["decode key"], told["train key"]) == ("key", "trained")
    assert told["evaluate key"] == EvaluateSettings(settings(), folds=0).key("snap")
    assert told["weights of the backbone"] == f"sha256 {BACKBONE.weights_sha256}"
    assert "tensorflow 2." in told["versions"]


@pytest.mark.parametrize(
    ("train", "details", "words"),
    [
        (settings(averaging=0.9), {"l2": 0.1}, ("adam", "10 epochs", "batches of 64", "averaging 0.9", "weights off")),
        (settings(class_weights=True), {"l2": 0.1}, ("class weights on",)),
        (classic(), {}, ("classic", "300 steps of gradient descent", "batches of 20", "rate 0.01")),
        (FINETUNE, {"steps": 248}, ("finetune", "5 epochs", "248 steps of 32 photos", "rate 0.0003", "seed 9")),
    ],
)
def test_training_is_told_as_its_recipe_has_it(
    train: TrainSettings | FinetuneSettings, details: dict[str, object], words: tuple[str, ...]
) -> None:
    told = provenance(train, **details)["training"]
    assert [word for word in words if word not in told] == []


def test_weight_decay_is_told_where_there_is_one() -> None:
    assert provenance(settings(), l2=0.1)["L2"] == "0.1, chosen from 0.01, 0.1"
    assert "L2" not in provenance(classic())
    assert not {"L2", "views", "precision"} & set(provenance(FINETUNE, steps=1))


def test_distorted_views_are_told() -> None:
    drawn = replace(settings(), bottleneck=replace(BOTTLENECK, distortion=DISTORTION))
    assert provenance(settings(), l2=0.1)["views"] == "plain and mirrored"
    assert provenance(drawn, l2=0.1)["views"] == (
        "plain and mirrored, and 8 distorted to train on (mirrored half, cropped 10 %, brightness up to 20 %, seed 4)"
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "8 x 8 px, square from the centre, bilinear, (x - 128) / 128"),
        ({"scaling": "own", "size": 299}, "299 x 299 px, square from the centre, bilinear, the model's own scaling"),
        ({"crop": "stretch"}, "8 x 8 px, squeezed into a square, bilinear, (x - 128) / 128"),
    ],
)
def test_input_is_told_as_the_backbone_wants_it(changes: dict[str, object], told: str) -> None:
    assert provenance(with_backbone(**changes), steps=1)["input"] == told
