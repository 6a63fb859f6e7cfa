"""The key of a head or network: everything that changes it, and its photos; and the views that a head takes."""

from dataclasses import replace

import pytest

from tasks.train.settings import FinetuneSettings, TrainSettings
from tests.train.examples import BACKBONE, BOTTLENECK, DISTORTED, FINETUNE, OTHER, STRETCHED, classic, settings

CHANGED_NETWORKS: list[dict[str, object]] = [
    {"encoding": "jpeg"},
    {"epochs": 3},
    {"batch_size": 9},
    {"learning_rate": 0.02},
    {"seed": 1},
    {"backbone": replace(BACKBONE, size=BACKBONE.size + 1)},
]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (settings(), settings(bottlenecks=(replace(BOTTLENECK, views=1),))),
        (settings(), settings(bottlenecks=(BOTTLENECK, STRETCHED))),
        (settings(), settings(bottlenecks=(STRETCHED, BOTTLENECK))),
        (settings(), settings(bottlenecks=(BOTTLENECK, OTHER))),
        (settings(), settings(bottlenecks=(DISTORTED,))),
        (settings(), settings(shrinkage=(0.1,))),
        (settings(), settings(shrinkage=(1.0, 0.1))),
        (settings(), settings(layer_weights=(1.0,))),
        (settings(), settings(class_weights=True)),
        (settings(), settings(seed=1)),
        (classic(), classic(steps=301)),
        (classic(), classic(batch_size=21)),
        (classic(), classic(learning_rate=0.02)),
        (classic(), classic(averaging=0.9)),
        *((FINETUNE, replace(FINETUNE, **change)) for change in CHANGED_NETWORKS),  # type: ignore[arg-type]
    ],
)
def test_every_setting_and_the_snapshot_change_the_key(
    before: TrainSettings | FinetuneSettings, after: TrainSettings | FinetuneSettings
) -> None:
    assert after.key("snap") != before.key("snap") != before.key("other")
    assert before.key("snap") == replace(before).key("snap")


@pytest.mark.parametrize(
    ("how", "training", "predicting"),
    [
        # All views train, and those that are not drawn predict; the views of another crop follow those of the first.
        (settings(), (0, 1), (0, 1)),
        (settings(bottlenecks=(DISTORTED,)), (0, 1, 2, 3, 4), (0, 1)),
        (settings(bottlenecks=(DISTORTED, STRETCHED)), tuple(range(7)), (0, 1, 5, 6)),
        # A classic head takes drawn views where there are any, predicts from the plain one, and knows one crop.
        (classic(), (0,), (0,)),
        (replace(classic(), bottlenecks=(DISTORTED,)), (2, 3, 4), (0,)),
        (replace(classic(), bottlenecks=(BOTTLENECK, STRETCHED)), (0,), (0,)),
    ],
)
def test_views_that_train_and_predict(
    how: TrainSettings, training: tuple[int, ...], predicting: tuple[int, ...]
) -> None:
    assert (how.training_views, how.predicting_views) == (training, predicting)


def test_crops_of_a_backbone_belong_together_and_other_backbones_stand_beside_them() -> None:
    stretched = replace(OTHER, backbone=replace(OTHER.backbone, crop="stretch"))
    joined = settings(bottlenecks=(BOTTLENECK, STRETCHED, OTHER, stretched))
    assert joined.by_backbone == ((BOTTLENECK, STRETCHED), (OTHER, stretched))
    assert joined.crops == (BOTTLENECK, STRETCHED)
    assert joined.backbones == (BACKBONE, OTHER.backbone)
    assert joined.decodes == tuple(each.decode for each in (BOTTLENECK, STRETCHED, OTHER, stretched))
    # The views of all backbones stand side by side, so they are no more than those of one.
    assert joined.predicting_views == (0, 1, 2, 3)
