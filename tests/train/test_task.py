"""The train stage as Luigi sees it: which stages it stands on, and what these are called."""

from dataclasses import replace

from tasks.run_context import RunContext
from tasks.train.task import TrainHead
from tests.train.examples import BACKBONE, BOTTLENECK, settings

OTHER = replace(BACKBONE, name="other", weights_sha256="1" * 64)


def test_each_bottleneck_has_a_stage_and_two_of_one_size_share_the_pictures() -> None:
    backbones = (BACKBONE, replace(BACKBONE, crop="stretch"), OTHER)
    bottlenecks = tuple(replace(BOTTLENECK, backbone=backbone) for backbone in backbones)
    how = settings(bottlenecks=bottlenecks)
    train = TrainHead(context=RunContext(data_root="data", snapshot="snap", photos="photos"), settings=how)
    names = [task.name for task in train.before()]
    assert names == ["decode", "decode-2", "bottleneck", "bottleneck-2", "bottleneck-3"]
    assert tuple(task.settings for task in train.requires()) == bottlenecks
    pictures = [task.requires() for task in train.requires()]
    assert pictures == [*train.before()[:2], train.before()[0]], "the same pictures"


def test_each_stage_finds_the_weights_of_its_own_backbone() -> None:
    how = settings(bottlenecks=(BOTTLENECK, replace(BOTTLENECK, backbone=OTHER)))
    weights = {BACKBONE.weights_sha256: "one.pth", OTHER.weights_sha256: "other.pth"}
    train = TrainHead(
        context=RunContext(data_root="data", snapshot="snap", photos="photos", weights=tuple(weights.items())),
        settings=how,
    )
    given = [task.context.weights_of(task.settings.backbone.weights_sha256).name for task in train.requires()]
    assert given == ["one.pth", "other.pth"]
