"""The provenance: each way to train tells what shaped its result."""

from dataclasses import replace
from pathlib import Path

import pytest

from tasks.bottleneck.settings import Distortion
from tasks.evaluate.settings import EvaluateSettings
from tasks.report.provenance import describe_provenance
from tasks.storage.layout import DataRoot
from tasks.train.settings import FinetuneSettings, TrainSettings
from tests.bottleneck.pictures import manifest_of
from tests.support.data_root import reported_run
from tests.train.examples import BOTTLENECK, classic, settings

BACKBONE = BOTTLENECK.backbone
FINETUNE = FinetuneSettings(BACKBONE, "jpeg", epochs=5, batch_size=32, learning_rate=0.0003, seed=9)
#: Details of a manifest of the train stage.
CHOSEN = {"shrinkage": 0.1, "layer_weight": 0.5, "temperature": 3.9}
DISTORTION = Distortion(8, flip_left_right=True, random_crop=10, random_scale=0, random_brightness=20, seed=4)


def provenance(train: TrainSettings | FinetuneSettings, **details: object) -> dict[str, dict[str, str]]:
    """Describe a run whose training has these details in its manifest."""
    stages = {stage: manifest_of(stage, 10, []) for stage in ("decode", "train", "evaluate")}
    stages["train"] = replace(stages["train"], key="trained", details=details)
    return describe_provenance(reported_run(Path(), DataRoot(Path()), stages, EvaluateSettings(train, folds=0)))


def with_backbone(**changes: object) -> FinetuneSettings:
    return replace(FINETUNE, backbone=replace(BACKBONE, **changes))  # type: ignore[arg-type]  # each of its own type


def test_keys_parameters_and_versions_are_told_in_groups() -> None:
    told = provenance(settings(), **CHOSEN)
    assert list(told) == ["Keys", "Parameters", "Model", "Versions"]
    assert told["Keys"] == {"snapshot": "snap", "decode": "key", "train": "trained", "evaluate": "key"}
    assert told["Parameters"] == {"--min-accuracy": "0.5", "--shrinkage": "0.1,1.0"}
    assert told["Model"]["weights of the backbone"] == f"sha256 {BACKBONE.weights_sha256}"
    assert told["Versions"]["tensorflow"].startswith("2.")
    assert told["Versions"]["openvino"].startswith("202")
    assert told["Versions"]["Python"].startswith("3.")


@pytest.mark.parametrize(
    ("train", "details", "words"),
    [
        (settings(), CHOSEN, ("lda", "linear discriminant analysis in closed form", "class weights off")),
        (settings(class_weights=True), CHOSEN, ("class weights on",)),
        (classic(), {}, ("classic", "300 steps of gradient descent", "batches of 20", "rate 0.01")),
        (FINETUNE, {"steps": 248}, ("finetune", "5 epochs", "248 steps of 32 photos", "rate 0.0003", "seed 9")),
    ],
)
def test_training_is_told_as_its_recipe_has_it(
    train: TrainSettings | FinetuneSettings, details: dict[str, object], words: tuple[str, ...]
) -> None:
    told = provenance(train, **details)["Model"]["training"]
    assert [word for word in words if word not in told] == []


def test_what_was_chosen_is_told_where_something_was() -> None:
    told = provenance(settings(), **CHOSEN)["Model"]
    assert (told["layers"], told["stored in"]) == ("bottleneck, early (10 numbers)", "uint8")
    assert told["shrinkage"] == "0.1, chosen from 0.1, 1"
    assert told["weight of earlier layers"] == "0.5, chosen from 1, 0"
    assert told["temperature"] == "3.9"
    alone = provenance(settings(layer_weights=(1.0,)), **CHOSEN)["Model"]
    assert "weight of earlier layers" not in alone
    assert not {"shrinkage", "temperature"} & set(provenance(classic())["Model"])
    assert not {"shrinkage", "views", "precision", "stored in"} & set(provenance(FINETUNE, steps=1)["Model"])


def test_distorted_views_are_told() -> None:
    drawn = settings(bottlenecks=(replace(BOTTLENECK, distortion=DISTORTION),))
    assert provenance(settings(), **CHOSEN)["Model"]["views"] == "plain and mirrored"
    assert provenance(drawn, **CHOSEN)["Model"]["views"] == (
        "plain and mirrored, and 8 distorted to train on (mirrored half, cropped 10 %, brightness up to 20 %, seed 4)"
    )


def test_several_backbones_and_crops_are_told_one_by_one() -> None:
    other = replace(BACKBONE, name="other", weights_sha256="1" * 64, size=16)
    bottlenecks = [
        replace(BOTTLENECK, backbone=replace(backbone, crop=crop))
        for backbone in (BACKBONE, other)
        for crop in ("centre", "stretch")
    ]
    told = provenance(settings(bottlenecks=tuple(bottlenecks)), **CHOSEN)["Model"]
    assert (told["backbone"], told["backbone (2)"]) == ("drawn", "other")
    assert told["input"] == "8 x 8 px, square from the centre and squeezed into a square, bilinear, (x - 128) / 128"
    assert told["input (2)"].startswith("16 x 16 px")
    assert told["weights of the backbone (2)"] == f"sha256 {'1' * 64}"
    assert told["views"] == "plain and mirrored, of each crop"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "8 x 8 px, square from the centre, bilinear, (x - 128) / 128"),
        ({"scaling": "own", "size": 299}, "299 x 299 px, square from the centre, bilinear, the model's own scaling"),
        ({"crop": "stretch"}, "8 x 8 px, squeezed into a square, bilinear, (x - 128) / 128"),
    ],
)
def test_input_is_told_as_the_backbone_wants_it(changes: dict[str, object], told: str) -> None:
    assert provenance(with_backbone(**changes), steps=1)["Model"]["input"] == told
