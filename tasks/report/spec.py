"""Specification of the report stage."""

from tasks.stage_spec import StageSpec

REPORT = StageSpec(
    name="report",
    outputs=("report/{key}/",),
    action="write the report",
    result="a report",
)
