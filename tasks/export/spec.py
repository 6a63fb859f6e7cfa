"""Specification of the export stage."""

from tasks.stage_spec import StageSpec

EXPORT = StageSpec(
    name="export",
    outputs=("train/{key}/export/",),
    needs={"export": ("all",)},
    action="export the model",
    result="an exported model",
)
