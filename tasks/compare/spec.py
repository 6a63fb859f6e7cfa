"""Specification of the compare stage."""

from tasks.stage_spec import StageSpec

COMPARE = StageSpec(name="compare", permanent=("compare/",), table="a comparison, one row a cell")
