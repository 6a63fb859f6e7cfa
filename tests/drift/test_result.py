"""Results of comparisons as JSON, and their words."""

import json

import pytest

from tasks.drift.result import DriftResult, PropertyTest, TypicalPhoto, describe_changes

CHANGED = PropertyTest("sharpness", "number", 0.0612, 0.4831, 1.7, 0.002)
UNLIKELY = PropertyTest("tint", "number", 0.1, 0.2, 0.5, 0.02)
TRIFLE = PropertyTest("warmth", "number", 0.1, 0.2, 0.1, 0.002)
RESULT = DriftResult(20, 100, (20, 90), (CHANGED, TRIFLE, UNLIKELY), (TypicalPhoto("sharpness", "k", "p", "l"),))


@pytest.mark.parametrize("result", [RESULT, DriftResult()])
def test_a_result_survives_json(result: DriftResult) -> None:
    assert DriftResult.from_json(json.loads(json.dumps(result.to_json()))) == result


def test_a_change_is_beyond_chance_and_no_trifle() -> None:
    assert RESULT.changes == [CHANGED]
    assert RESULT.to_json()["changes"] == ["sharpness 0.06 (earlier 0.48)"]


@pytest.mark.parametrize(
    ("test", "words"),
    [
        (PropertyTest("label tulips", "share", 0.4, 0.195, 0.4, 0), "label tulips 40 % (earlier 20 %)"),
        (PropertyTest("pixels", "number", 76800, 12000000, 0.4, 0), "pixels 76,800 (earlier 12,000,000)"),
        (PropertyTest("vectors", "distance", 1.53, 0, 1.53, 0), "vectors 1.53 standard deviations apart"),
    ],
)
def test_a_property_is_told_with_both_values(test: PropertyTest, words: str) -> None:
    assert str(test) == words


def test_changes_make_a_sentence_and_none_make_no_words() -> None:
    assert describe_changes(["a 1 (earlier 2)", "b"]) == "New photos differ from earlier ones: a 1 (earlier 2); b"
    assert describe_changes([]) == ""
