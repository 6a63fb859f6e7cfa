"""Specification of the train stage."""

from tasks.stage_spec import Cost, StageSpec

TRAIN = StageSpec(
    name="train",
    outputs=("train/{key}/",),
    cost=Cost.ALL_PHOTOS,
    action="train",
    table="the curve of a training, one row a checkpoint",
    result="a trained head or network",
)
#: Statistics of a dataset's bottlenecks, which trainings of all its dates share.
STATISTICS = StageSpec(name="statistics", outputs=("statistics/{dataset}/",))
