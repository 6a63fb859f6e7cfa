"""Chooses the champion: whether a new model takes the place of the best one so far, and why, in plain words."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from tasks.champion.champion_file import Champion
from tasks.champion.champion_predictions import ChampionGoneError
from tasks.champion.decision import Comparison, Decision
from tasks.runs.records import Verdict


@dataclass(frozen=True)
class Candidate:
    """A new model.

    Args:
        model: Its key.
        date: The date that its run is for.
        accuracy: Its test accuracy, in [0, 1].
        least: The accuracy that was asked for, in [0, 1].
    """

    model: str
    date: dt.date
    accuracy: float
    least: float


def choose(new: Candidate, champion: Champion | None, compare: Callable[[Champion], Comparison | None]) -> Decision:
    """Choose between a new model and the champion.

    The new model takes the champion's place unless it is worse beyond the interval. A run for a date before the
    champion's own is one that was missed and is filled in, and its model was trained on what there was then: it takes
    the place only if it is better beyond the interval, and is champion from the same date as the one before it.

    Args:
        new: The new model.
        champion: The champion, None where there is none.
        compare: Compares the new model with it; gives None where no photo is left to compare them on, and raises
            `ChampionGoneError` where something of the champion is gone or damaged.
    """
    if new.accuracy < new.least:
        reason = f"The new model is refused: its test accuracy of {new.accuracy:.1%} is below the {new.least:.1%} asked"
        return _keep("refused", new, champion, f"{reason} for.")
    if champion is None:
        return Decision("first", new.model, new.model, None, new.date, "The model is the first of its dataset.", None)
    if champion.model == new.model:
        return _keep("same", new, champion, f"The model is the champion itself, as it has been since {champion.since}.")
    return _compete(new, champion, compare)


def _compete(new: Candidate, champion: Champion, compare: Callable[[Champion], Comparison | None]) -> Decision:
    try:
        comparison = compare(champion)
    except ChampionGoneError as exc:
        reason = f"The new model takes the place of {champion.model} without a comparison: {exc} is gone or damaged."
        return _replace(new, champion, reason, None)
    late = new.date < champion.since
    if comparison is None:
        return _uncompared(new, champion, late=late)
    figures = _figures(comparison)
    if comparison.better or not (late or comparison.worse):
        how = "" if comparison.better else ", no worse beyond chance"
        reason = f"The new model takes the place of {_named(champion)}: {figures}{how}."
        return _replace(new, champion, reason, comparison)
    why = "worse beyond chance" if comparison.worse else "for an earlier date, and no better beyond chance"
    return _keep("stays", new, champion, f"{_stays(champion)}: {figures}, {why}.", comparison)


def _uncompared(new: Candidate, champion: Champion, *, late: bool) -> Decision:
    """Decide without a photo that both could be compared on."""
    cause = "the champion learnt from every photo of the test split"
    if late:
        return _keep("stays", new, champion, f"{_stays(champion)}: the run is for an earlier date, and {cause}.")
    reason = f"The new model takes the place of {_named(champion)} without a comparison: {cause}."
    return _replace(new, champion, reason, None)


def _keep(
    verdict: Verdict, new: Candidate, champion: Champion | None, reason: str, comparison: Comparison | None = None
) -> Decision:
    model, since = (champion.model, champion.since) if champion else (None, None)
    return Decision(verdict, new.model, model, model, since, reason, comparison)


def _replace(new: Candidate, champion: Champion, reason: str, comparison: Comparison | None) -> Decision:
    since = max(new.date, champion.since)
    return Decision("new", new.model, new.model, champion.model, since, reason, comparison)


def _named(champion: Champion) -> str:
    return f"{champion.model}, champion since {champion.since}"


def _stays(champion: Champion) -> str:
    return f"The champion since {champion.since}, {champion.model}, stays"


def _figures(comparison: Comparison) -> str:
    low, high = (100 * bound for bound in comparison.interval[:2])
    return (
        f"of the same {comparison.photos:,} test photos the new model gets {comparison.new_accuracy:.1%} right, the "
        f"champion {comparison.champion_accuracy:.1%}, a difference of {100 * comparison.difference:+.1f} points "
        f"({100 * comparison.interval.confidence:.0f} % interval {low:+.1f} to {high:+.1f})"
    )
