"""Specification of the serving stage."""

from tasks.stage_spec import StageSpec

SERVING = StageSpec(
    name="serving",
    permanent=("serving/{dataset}/",),
    action="publish the champion for model servers",
    result="versions of the champion for model servers",
)
