"""The key of a head: everything that changes it, and its photos."""

from dataclasses import replace

import pytest

from tests.train.examples import BOTTLENECK, settings


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


def test_another_snapshot_is_another_key_and_the_same_one_the_same() -> None:
    assert settings().key("snap") == settings().key("snap")
    assert settings().key("snap") != settings().key("other")
