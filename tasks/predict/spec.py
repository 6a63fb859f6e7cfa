"""Specification of the predict stage."""

from tasks.stage_spec import StageSpec

PREDICT = StageSpec(name="predict", outputs=("predict/{key}/",))
