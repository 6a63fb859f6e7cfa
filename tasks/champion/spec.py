"""Specification of the champion stage."""

from tasks.stage_spec import StageSpec

CHAMPION = StageSpec(
    name="champion",
    outputs=("champion/{dataset}/{key}.json",),
    permanent=("champion/{dataset}.json",),
    action="choose the champion",
    result="a decision on the champion, or who is champion",
)
