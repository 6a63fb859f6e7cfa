"""What the stages of a run are called, and what is found by these names."""

import pytest

from tasks.stage_spec import kind_of, number_of, of_kind, stage_name


@pytest.mark.parametrize(("kind", "number", "name"), [("decode", 1, "decode"), ("bottleneck", 12, "bottleneck-12")])
def test_a_name_says_the_kind_and_which_of_it(kind: str, number: int, name: str) -> None:
    assert stage_name(kind, number) == name
    assert (kind_of(name), number_of(name)) == (kind, number)


def test_stages_of_a_kind_are_found_in_their_order() -> None:
    stages = {"decode": 1, "decode-2": 2, "bottleneck": 3, "train": 4}
    assert of_kind(stages, "decode") == [1, 2]
    assert of_kind(stages, "export") == []
