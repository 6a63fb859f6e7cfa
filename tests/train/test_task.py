"""The train stage as Luigi sees it: the stages that it requires, and their names."""

from tasks.bottleneck.settings import BottleneckSettings
from tasks.run_context import RunContext
from tasks.train.task import TrainHead
from tests.train.examples import BACKBONE, BOTTLENECK, OTHER, STRETCHED, settings

WEIGHTS = {BACKBONE.weights_sha256: "one.pth", OTHER.backbone.weights_sha256: "other.pth"}


def train_head(*bottlenecks: BottleneckSettings) -> TrainHead:
    context = RunContext(data_root="data", snapshot="snap", photos="photos", weights=tuple(WEIGHTS.items()))
    return TrainHead(context=context, settings=settings(bottlenecks=bottlenecks))


def test_each_bottleneck_has_a_stage_and_two_of_one_size_share_the_pictures() -> None:
    train = train_head(BOTTLENECK, STRETCHED, OTHER)
    names = [task.name for task in train.before()]
    assert names == ["decode", "decode-2", "bottleneck", "bottleneck-2", "bottleneck-3"]
    assert tuple(task.settings for task in train.requires()) == (BOTTLENECK, STRETCHED, OTHER)
    pictures = [task.requires() for task in train.requires()]
    assert pictures == [*train.before()[:2], train.before()[0]], "the same pictures"


def test_each_stage_finds_the_weights_of_its_own_backbone() -> None:
    tasks = train_head(BOTTLENECK, OTHER).requires()
    given = [task.context.weights_of(task.settings.backbone.weights_sha256).name for task in tasks]
    assert given == ["one.pth", "other.pth"]
