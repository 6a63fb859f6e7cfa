"""The key of a head: everything that changes it, and its photos; and which views it takes."""

from dataclasses import replace

import pytest

from tasks.bottleneck.settings import Distortion
from tests.train.examples import BACKBONE, BOTTLENECK, classic, settings

DISTORTION = Distortion(views=3, flip_left_right=True, random_crop=10, random_scale=0, random_brightness=0, seed=0)
STRETCHED = replace(BOTTLENECK, backbone=replace(BACKBONE, crop="stretch"))
DISTORTED = (replace(BOTTLENECK, distortion=DISTORTION),)
OTHER = replace(BOTTLENECK, backbone=replace(BACKBONE, name="other", weights_sha256="1" * 64))


@pytest.mark.parametrize(
    "change",
    [
        {"bottlenecks": (replace(BOTTLENECK, views=1),)},
        {"bottlenecks": (BOTTLENECK, STRETCHED)},
        {"bottlenecks": (STRETCHED, BOTTLENECK)},
        {"bottlenecks": (BOTTLENECK, OTHER)},
        {"bottlenecks": DISTORTED},
        {"shrinkage": (0.1,)},
        {"shrinkage": (1.0, 0.1)},
        {"layer_weights": (1.0,)},
        {"class_weights": True},
        {"seed": 1},
    ],
)
def test_every_setting_changes_the_key(change: dict[str, object]) -> None:
    assert settings(**change).key("snap") != settings().key("snap")


@pytest.mark.parametrize("change", [{"steps": 301}, {"batch_size": 21}, {"learning_rate": 0.02}, {"averaging": 0.9}])
def test_every_setting_of_classic_changes_the_key(change: dict[str, object]) -> None:
    assert classic(**change).key("snap") != classic().key("snap")


def test_another_snapshot_is_another_key_and_the_same_one_the_same() -> None:
    assert settings().key("snap") == settings().key("snap")
    assert settings().key("snap") != settings().key("other")


def test_lda_trains_on_all_views_and_predicts_from_those_that_are_not_drawn() -> None:
    distorted = settings(bottlenecks=DISTORTED)
    assert settings().training_views == settings().predicting_views == (0, 1)
    assert distorted.training_views == (0, 1, 2, 3, 4)
    assert distorted.predicting_views == (0, 1)


def test_the_views_of_another_crop_follow_those_of_the_first() -> None:
    both = settings(bottlenecks=(*DISTORTED, STRETCHED))
    assert both.training_views == tuple(range(7))
    assert both.predicting_views == (0, 1, 5, 6)


def test_classic_trains_on_drawn_views_where_there_are_any_and_predicts_from_the_plain_one() -> None:
    distorted = replace(classic(), bottlenecks=DISTORTED)
    assert classic().training_views == classic().predicting_views == (0,)
    assert distorted.training_views == (2, 3, 4)
    assert distorted.predicting_views == (0,)


def test_classic_takes_the_first_crop_alone() -> None:
    both = replace(classic(), bottlenecks=(BOTTLENECK, STRETCHED))
    assert both.training_views == both.predicting_views == (0,)


def test_lda_takes_square_roots_and_classic_averages() -> None:
    assert settings().rooted
    assert not classic().rooted


def test_crops_of_a_backbone_belong_together_and_other_backbones_stand_beside_them() -> None:
    stretched = replace(OTHER, backbone=replace(OTHER.backbone, crop="stretch"))
    joined = settings(bottlenecks=(BOTTLENECK, STRETCHED, OTHER, stretched))
    assert joined.by_backbone == ((BOTTLENECK, STRETCHED), (OTHER, stretched))
    assert joined.crops == (BOTTLENECK, STRETCHED)
    assert joined.backbones == (BACKBONE, OTHER.backbone)
    assert joined.decodes == tuple(each.decode for each in (BOTTLENECK, STRETCHED, OTHER, stretched))
    # The views of all backbones stand side by side, so they are no more than those of one.
    assert joined.predicting_views == (0, 1, 2, 3)
