"""Specification of the evaluate stage."""

from tasks.stage_spec import Cost, StageSpec

EVALUATE = StageSpec(
    name="evaluate",
    outputs=("evaluate/{key}/",),
    cost=Cost.ALL_PHOTOS,
    action="evaluate",
    table="predictions, one row a photo",
    result="an evaluation",
)
