"""What the stages of a run are called: each by its kind, and the second one of a kind as in `bottleneck-2`."""

from collections.abc import Mapping
from typing import TypeVar

StageT = TypeVar("StageT")


def stage_name(kind: str, number: int) -> str:
    """What a stage is called in its run.

    Args:
        kind: The kind, such as decode.
        number: Which of that kind it is, from 1.
    """
    return kind if number == 1 else f"{kind}-{number}"


def kind_of(name: str) -> str:
    """The kind of a stage by its name in a run."""
    return name.partition("-")[0]


def number_of(name: str) -> int:
    """Which of its kind a stage is, from 1."""
    return int(name.partition("-")[2] or 1)


def of_kind(stages: Mapping[str, StageT], kind: str) -> list[StageT]:
    """What there is of a kind among a run's stages by name, in their order."""
    return [stage for name, stage in stages.items() if kind_of(name) == kind]
