"""Who becomes champion, by what the comparison says and by the date of the run."""

import datetime as dt
from collections.abc import Callable

import numpy as np
import pytest

from tasks.champion.champion_file import Champion
from tasks.champion.champion_predictions import ChampionGoneError
from tasks.champion.decision import Comparison, Decision
from tasks.champion.mcnemar import compare_hits
from tasks.champion.policy import Candidate, choose
from tests.support.data_root import DAY, first_champion

EARLIER, LATER = DAY - dt.timedelta(1), DAY + dt.timedelta(1)


def compared(only_new: int, only_champion: int) -> Callable[[Champion], Comparison]:
    """A comparison in which each model alone is right on so many photos, of a hundred."""
    new = np.arange(100) < only_new
    champion = (np.arange(100) >= only_new) & (np.arange(100) < only_new + only_champion)
    return lambda _: compare_hits(new, champion)


BETTER, ALIKE, WORSE = compared(20, 2), compared(3, 5), compared(2, 20)


def no_photo(_: Champion) -> None:
    return None


def gone(_: Champion) -> None:
    raise ChampionGoneError("its model")


def never(_: Champion) -> None:
    pytest.fail("there was nothing to compare")


def decide(compare: Callable[[Champion], Comparison | None], date: dt.date = LATER) -> Decision:
    """Decide on a new model beside the champion `old`, which has been it since `DAY`."""
    return choose(Candidate("new", date, 0.8, 0.5), first_champion("old"), compare)


def fate(decision: Decision) -> tuple[str, str | None, str | None, dt.date | None]:
    return decision.verdict, decision.champion, decision.former, decision.since


def test_the_first_model_of_a_dataset_is_champion() -> None:
    decision = choose(Candidate("new", DAY, 0.1, 0), None, never)
    assert fate(decision) == ("first", "new", None, DAY)


@pytest.mark.parametrize("compare", [BETTER, ALIKE])
def test_a_model_that_is_not_worse_takes_the_place(compare: Callable[[Champion], Comparison]) -> None:
    decision = decide(compare)
    assert fate(decision) == ("new", "new", "old", LATER)
    assert decision.comparison == compare(first_champion("old"))


def test_a_worse_model_leaves_the_champion_in_its_place_and_says_by_how_much() -> None:
    decision = decide(WORSE)
    assert fate(decision) == ("stays", "old", "old", DAY)
    assert decision.reason == (
        "The champion since 2026-11-24, old, stays: of the same 100 test photos the new model gets 2.0% right, the "
        "champion 20.0%, a difference of -18.0 points (95 % interval -21.5 to -9.2), worse beyond chance."
    )


def test_the_same_model_stays_champion_from_its_own_date() -> None:
    decision = choose(Candidate("old", LATER, 0.8, 0), first_champion("old"), never)
    assert fate(decision) == ("same", "old", "old", DAY)


@pytest.mark.parametrize("champion", [None, first_champion("old"), first_champion("new")])
def test_a_model_below_the_accuracy_asked_for_changes_nothing(champion: Champion | None) -> None:
    decision = choose(Candidate("new", LATER, 0.8, 0.9), champion, never)
    before = (champion.model, champion.model, DAY) if champion else (None, None, None)
    assert fate(decision) == ("refused", *before)
    assert "80.0%" in decision.reason
    assert "90.0%" in decision.reason


def test_an_accuracy_of_just_what_was_asked_for_is_enough() -> None:
    assert choose(Candidate("new", DAY, 0.9, 0.9), None, never).verdict == "first"


def test_a_model_of_an_earlier_date_that_is_as_good_does_not_take_the_place() -> None:
    decision = decide(ALIKE, EARLIER)
    assert fate(decision) == ("stays", "old", "old", DAY)
    assert "for an earlier date" in decision.reason


def test_a_better_model_of_an_earlier_date_takes_the_place_from_the_date_of_the_champion() -> None:
    assert fate(decide(BETTER, EARLIER)) == ("new", "new", "old", DAY)


def test_a_second_run_of_the_champions_own_date_is_no_earlier_one() -> None:
    assert fate(decide(ALIKE, DAY)) == ("new", "new", "old", DAY)


def test_without_a_photo_to_compare_them_on_the_new_model_takes_the_place() -> None:
    decision = decide(no_photo)
    assert fate(decision) == ("new", "new", "old", LATER)
    assert decision.comparison is None
    assert "without a comparison" in decision.reason


def test_without_a_photo_to_compare_them_on_a_model_of_an_earlier_date_does_not() -> None:
    assert fate(decide(no_photo, EARLIER)) == ("stays", "old", "old", DAY)


@pytest.mark.parametrize("date", [EARLIER, LATER])
def test_a_champion_that_is_gone_makes_room_and_the_reason_says_what_is_gone(date: dt.date) -> None:
    decision = decide(gone, date)
    assert fate(decision) == ("new", "new", "old", max(date, DAY))
    assert "its model is gone or damaged" in decision.reason
