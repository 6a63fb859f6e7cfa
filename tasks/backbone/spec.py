"""Specification of the backbone stage."""

from tasks.stage_spec import StageSpec

BACKBONE = StageSpec(
    name="backbone",
    permanent=("backbone/",),
    action="prepare the backbone",
)
