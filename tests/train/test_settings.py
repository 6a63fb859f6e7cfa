"""The key of a head: everything that changes it, and its photos."""

from dataclasses import replace

import pytest

from tasks.bottleneck.settings import Distortion
from tests.train.examples import BOTTLENECK, classic, settings

DISTORTION = Distortion(views=3, flip_left_right=True, random_crop=10, random_scale=0, random_brightness=0, seed=0)


@pytest.mark.parametrize(
    "change",
    [
        {"bottleneck": replace(BOTTLENECK, views=1)},
        {"l2": (0.01,)},
        {"l2": (0.1, 0.01)},
        {"epochs": 11},
        {"batch_size": 65},
        {"learning_rate": 0.02},
        {"averaging": 0.9},
        {"class_weights": True},
        {"seed": 1},
    ],
)
def test_every_setting_changes_the_key(change: dict[str, object]) -> None:
    assert settings(**change).key("snap") != settings().key("snap")


@pytest.mark.parametrize("change", [{"steps": 301}, {"batch_size": 21}, {"learning_rate": 0.02}, {"averaging": 0.9}])
def test_every_setting_of_classic_changes_the_key(change: dict[str, object]) -> None:
    assert classic(**change).key("snap") != classic().key("snap")


def test_adam_trains_on_all_views_and_predicts_from_those_that_are_not_drawn() -> None:
    distorted = settings(bottleneck=replace(BOTTLENECK, distortion=DISTORTION))
    views = ["plain", "mirrored", "drawn 1", "drawn 2", "drawn 3"]
    assert views[distorted.training_views] == views
    assert views[distorted.predicting_views] == ["plain", "mirrored"]


def test_classic_trains_on_drawn_views_where_there_are_any_and_predicts_from_the_plain_one() -> None:
    distorted = replace(classic(), bottleneck=replace(BOTTLENECK, distortion=DISTORTION))
    views = ["plain", "mirrored", "drawn 1", "drawn 2", "drawn 3"]
    assert views[classic().training_views] == views[classic().predicting_views] == ["plain"]
    assert views[distorted.training_views] == ["drawn 1", "drawn 2", "drawn 3"]
    assert views[distorted.predicting_views] == ["plain"]


def test_another_snapshot_is_another_key_and_the_same_one_the_same() -> None:
    assert settings().key("snap") == settings().key("snap")
    assert settings().key("snap") != settings().key("other")
