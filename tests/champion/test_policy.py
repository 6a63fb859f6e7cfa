"""The choice of the champion, by the comparison and by the date of the run."""

import datetime as dt
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tasks.champion.champion_file import Champion
from tasks.champion.champion_predictions import ChampionGoneError
from tasks.champion.decision import Comparison, Decision, KeptBy, LabelComparison
from tasks.champion.mcnemar import compare_hits
from tasks.champion.policy import Candidate, choose
from tests.support.data_root import DAY, first_champion

EARLIER, LATER = DAY - dt.timedelta(1), DAY + dt.timedelta(1)
OLD = first_champion("old")
Compare = Callable[[Champion], Comparison | None]


def compared(only_new: int, only_champion: int) -> Compare:
    """Return a comparison in which each model alone is right on so many photos, of a hundred."""
    new = np.arange(100) < only_new
    champion = (np.arange(100) >= only_new) & (np.arange(100) < only_new + only_champion)
    return lambda _: compare_hits(new, champion)


BETTER, ALIKE, WORSE = compared(20, 2), compared(3, 5), compared(2, 20)


def on_labels(compare: Compare, *p_values: float) -> Compare:
    """A comparison whose labels have these p-values."""
    labels = tuple(LabelComparison(f"label {at}", 30, 11, 22, p_value) for at, p_value in enumerate(p_values))
    found = compare(OLD)
    assert found is not None
    return lambda _: replace(found, labels=labels)


def no_photo(_: Champion) -> None:
    return None


def gone(_: Champion) -> None:
    raise ChampionGoneError("its model")


def never(_: Champion) -> None:
    pytest.fail("there was nothing to compare")


def outcome(decision: Decision) -> tuple[str, str | None, str | None, dt.date | None]:
    return decision.verdict, decision.champion, decision.former, decision.since


@pytest.mark.parametrize(
    ("compare", "date", "since", "words"),
    [
        (BETTER, LATER, LATER, "The new model takes the place of old, champion since 2026-11-24: of the same 100"),
        (ALIKE, LATER, LATER, "no worse beyond chance"),
        (WORSE, LATER, None, "worse beyond chance"),
        (ALIKE, DAY, DAY, "no worse beyond chance"),
        (ALIKE, EARLIER, None, "for an earlier date, and no better beyond chance"),
        (BETTER, EARLIER, DAY, "a difference of +18.0 points"),
        (no_photo, LATER, LATER, "without a comparison: the champion learnt from every photo of the test split"),
        (no_photo, EARLIER, None, "the run is for an earlier date"),
        (gone, LATER, LATER, "without a comparison: its model is gone or damaged"),
        (gone, EARLIER, DAY, "its model is gone or damaged"),
    ],
)
def test_a_model_takes_the_place_unless_it_is_worse_or_late_and_no_better(
    compare: Compare, date: dt.date, since: dt.date | None, words: str
) -> None:
    decision = choose(Candidate("new", date, 0.8, 0.5), OLD, compare)
    assert outcome(decision) == (("new", "new", "old", since) if since else ("stays", "old", "old", DAY))
    assert decision.comparison == (None if compare is gone else compare(OLD))
    assert words in decision.reason


def test_the_reason_says_by_how_much_a_model_is_worse() -> None:
    assert choose(Candidate("new", LATER, 0.8, 0.5), OLD, WORSE).reason == (
        "The champion since 2026-11-24, old, stays: of the same 100 test photos the new model gets 2.0% right, the "
        "champion 20.0%, a difference of -18.0 points (95 % interval -21.5 to -9.2), worse beyond chance."
    )


@pytest.mark.parametrize(
    ("new", "champion", "expected"),
    [
        (Candidate("new", DAY, 0.1, 0), None, ("first", "new", None, DAY)),
        (Candidate("new", DAY, 0.1, 0.1), None, ("first", "new", None, DAY)),
        (Candidate("old", LATER, 0.8, 0), OLD, ("same", "old", "old", DAY)),
        (Candidate("new", LATER, 0.8, 0.9), None, ("refused", None, None, None)),
        (Candidate("new", LATER, 0.8, 0.9), OLD, ("refused", "old", "old", DAY)),
        (Candidate("old", LATER, 0.8, 0.9), OLD, ("refused", "old", "old", DAY)),
    ],
)
def test_nothing_is_compared_for_a_first_a_same_or_a_refused_model(
    new: Candidate, champion: Champion | None, expected: tuple[str, str | None, str | None, dt.date | None]
) -> None:
    decision = choose(new, champion, never)
    assert outcome(decision) == expected
    assert ("test accuracy of 80.0% is below the 90.0% asked for" in decision.reason) == (expected[0] == "refused")


@pytest.mark.parametrize("champion", [None, OLD, first_champion("new")])
def test_a_model_is_refused_because_of_drift_whatever_the_champion_is(champion: Champion | None) -> None:
    decision = choose(Candidate("new", LATER, 0.8, 0.5, drift="New photos differ: blur"), champion, never)
    assert (decision.verdict, decision.kept_by) == ("refused", "drift")
    assert decision.champion == (champion.model if champion else None)
    assert decision.reason == "The new model is refused. New photos differ: blur."
    below = choose(Candidate("new", LATER, 0.4, 0.5, drift="New photos differ: blur"), champion, never)
    assert (below.verdict, below.kept_by) == ("refused", None)


@pytest.mark.parametrize("compare", [BETTER, ALIKE])
def test_a_model_that_is_worse_on_a_label_stays_behind_even_if_it_is_better_over_all_photos(compare: Compare) -> None:
    worse = on_labels(compare, 0.004, 0.3)
    decision = choose(Candidate("new", LATER, 0.8, 0.5), OLD, worse)
    assert (*outcome(decision), decision.kept_by) == ("stays", "old", "old", DAY, "label")
    assert "worse beyond chance on the label 'label 0' (11 of 30 right in place of 22, p = 0.004)." in decision.reason
    assert decision.comparison == worse(OLD)
    ungated = choose(Candidate("new", LATER, 0.8, 0.5, label_gate=False), OLD, worse)
    assert (ungated.verdict, ungated.kept_by) == ("new", None)


def test_labels_on_which_a_model_is_no_worse_beyond_chance_do_not_count() -> None:
    assert choose(Candidate("new", LATER, 0.8, 0.5), OLD, on_labels(ALIKE, 0.06, 1.0)).verdict == "new"


def test_a_reason_names_a_few_of_many_labels() -> None:
    reason = choose(Candidate("new", LATER, 0.8, 0.5), OLD, on_labels(ALIKE, *[0.001] * 9)).reason
    assert "'label 4'" in reason
    assert "and 4 more" in reason


@pytest.mark.parametrize(
    ("compare", "date", "kept_by"),
    [(WORSE, LATER, "accuracy"), (on_labels(WORSE, 0.001), LATER, "accuracy"), (ALIKE, EARLIER, "date")],
)
def test_a_champion_that_stays_says_why(compare: Compare, date: dt.date, kept_by: KeptBy) -> None:
    assert choose(Candidate("new", date, 0.8, 0.5), OLD, compare).kept_by == kept_by


@pytest.mark.parametrize("compare", [BETTER, WORSE, no_photo, gone])
@pytest.mark.parametrize(
    ("champion", "kept_by", "words"),
    [
        (
            replace(OLD, pinned=DAY),
            "pin",
            "it has been pinned since 2026-11-24, until python -m pipeline champion --unpin",
        ),
        (replace(OLD, rolled_back=("new",)), "rollback", "a person rolled back from the new model"),
    ],
)
def test_the_order_of_a_person_stands_whatever_the_comparison_says(
    compare: Compare, champion: Champion, kept_by: KeptBy, words: str
) -> None:
    decision = choose(Candidate("new", LATER, 0.8, 0.5), champion, compare)
    assert (*outcome(decision), decision.kept_by) == ("stays", "old", "old", DAY, kept_by)
    assert decision.comparison == (None if compare is gone else compare(OLD))
    assert words in decision.reason


def test_another_model_than_that_which_was_rolled_back_competes() -> None:
    champion = replace(OLD, rolled_back=("another",))
    assert choose(Candidate("new", LATER, 0.8, 0.5), champion, ALIKE).verdict == "new"
