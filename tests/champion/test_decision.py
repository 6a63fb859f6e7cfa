"""Decisions as JSON and back."""

import datetime as dt
import json
from dataclasses import replace

import pytest

from tasks.champion.decision import Bounds, Comparison, Decision, LabelComparison
from tasks.errors import StoreError

LABELS = (LabelComparison("daisy", 40, 20, 31, 0.01), LabelComparison("roses", 40, 39, 38, 1.0))
COMPARISON = Comparison(3, 60, 10, 6, 4, Bounds(-0.05, 0.13, 0.95), 0.45, LABELS)
DECISION = Decision("new", "b", "b", "a", dt.date(2026, 11, 24), "It is no worse.", COMPARISON)
REFUSED = Decision("refused", "b", None, None, None, "It is below what was asked for.", None)
KEPT = Decision("stays", "b", "a", "a", dt.date(2026, 11, 24), "It is worse on a label.", COMPARISON, "label")


@pytest.mark.parametrize("decision", [DECISION, REFUSED, KEPT, replace(REFUSED, kept_by="drift")])
def test_a_decision_survives_json(decision: Decision) -> None:
    assert Decision.from_json(json.loads(json.dumps(decision.to_json()))) == decision


def test_a_comparison_tells_the_figures_that_follow_from_its_counts() -> None:
    told = DECISION.to_json()["comparison"]
    assert told == {
        "photos": 80,
        "left_out": 3,
        "both": 60,
        "only_new": 10,
        "only_champion": 6,
        "neither": 4,
        "difference": 0.05,
        "interval": {"low": -0.05, "high": 0.13, "confidence": 0.95},
        "p_value": 0.45,
        "new_accuracy": 0.875,
        "champion_accuracy": 0.825,
        "labels": [
            {"label": "daisy", "photos": 40, "new_right": 20, "champion_right": 31, "p_value": 0.01, "worse": True},
            {"label": "roses", "photos": 40, "new_right": 39, "champion_right": 38, "p_value": 1.0, "worse": False},
        ],
    }


def test_a_decision_of_an_earlier_version_is_read_without_labels_and_cause() -> None:
    told = KEPT.to_json()
    del told["kept_by"], told["comparison"]["labels"]
    expected = replace(KEPT, kept_by=None, comparison=replace(COMPARISON, labels=()))
    assert Decision.from_json(told) == expected


@pytest.mark.parametrize(
    "changes", [{"verdict": "maybe"}, {"since": "yesterday"}, {"since": 3}, {"comparison": {"photos": 1}}, None]
)
def test_values_that_are_no_decision_are_refused_with_the_remedy(changes: dict[str, object] | None) -> None:
    told = {**DECISION.to_json(), **(changes or {})}
    if changes is None:
        del told["reason"]
    with pytest.raises(StoreError, match=r"damaged.*python -m pipeline forget champion"):
        Decision.from_json(told)
