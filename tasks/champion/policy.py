"""Policy: whether a new model takes the place of the champion, and the reason."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from tasks.champion.champion_file import Champion
from tasks.champion.champion_predictions import ChampionGoneError
from tasks.champion.decision import Comparison, Decision
from tasks.runs.records import Verdict


@dataclass(frozen=True)
class Candidate:
    """A new model."""

    model: str  #: Key of the model.
    date: dt.date  #: Date of its run.
    accuracy: float  #: Its test accuracy, in [0, 1].
    min_accuracy: float  #: Accuracy below which it is refused, in [0, 1].


def choose(new: Candidate, champion: Champion | None, compare: Callable[[Champion], Comparison | None]) -> Decision:
    """Choose between a new model and the champion.

    The new model takes the champion's place unless it is worse beyond the interval. A run for a date before the
    champion's own fills in for a missed run, and its model was trained on the photos of that date: it takes the place
    only if it is better beyond the interval, and is champion since the same date as the one before it.

    `compare` returns None without a photo to compare both models on, and may raise `ChampionGoneError`.
    """
    if new.accuracy < new.min_accuracy:
        figures = f"its test accuracy of {new.accuracy:.1%} is below the {new.min_accuracy:.1%} asked for"
        return _keep("refused", new, champion, f"The new model is refused: {figures}.")
    if champion is None:
        return Decision("first", new.model, new.model, None, new.date, "First model of this dataset.", None)
    if champion.model == new.model:
        return _keep("same", new, champion, f"The model is the champion itself, as it has been since {champion.since}.")
    return _compete(new, champion, compare)


def _compete(new: Candidate, champion: Champion, compare: Callable[[Champion], Comparison | None]) -> Decision:
    takes_place = f"The new model takes the place of {champion.model}"
    try:
        comparison = compare(champion)
    except ChampionGoneError as exc:
        return _replace(new, champion, f"{takes_place} without a comparison: {exc} is gone or damaged.")
    takes_place = f"{takes_place}, champion since {champion.since}"
    stays = f"The champion since {champion.since}, {champion.model}, stays"
    late = new.date < champion.since
    if comparison is None:
        cause = "the champion learnt from every photo of the test split"
        if late:
            return _keep("stays", new, champion, f"{stays}: the run is for an earlier date, and {cause}.")
        return _replace(new, champion, f"{takes_place} without a comparison: {cause}.")
    figures = _figures(comparison)
    if comparison.better or not (late or comparison.worse):
        how = "" if comparison.better else ", no worse beyond chance"
        return _replace(new, champion, f"{takes_place}: {figures}{how}.", comparison)
    why = "worse beyond chance" if comparison.worse else "for an earlier date, and no better beyond chance"
    return _keep("stays", new, champion, f"{stays}: {figures}, {why}.", comparison)


def _keep(
    verdict: Verdict, new: Candidate, champion: Champion | None, reason: str, comparison: Comparison | None = None
) -> Decision:
    model, since = (champion.model, champion.since) if champion else (None, None)
    return Decision(verdict, new.model, model, model, since, reason, comparison)


def _replace(new: Candidate, champion: Champion, reason: str, comparison: Comparison | None = None) -> Decision:
    since = max(new.date, champion.since)
    return Decision("new", new.model, new.model, champion.model, since, reason, comparison)


def _figures(comparison: Comparison) -> str:
    low, high = (100 * bound for bound in comparison.interval[:2])
    return (
        f"of the same {comparison.photos:,} test photos the new model gets {comparison.new_accuracy:.1%} right, the "
        f"champion {comparison.champion_accuracy:.1%}, a difference of {100 * comparison.difference:+.1f} points "
        f"({100 * comparison.interval.confidence:.0f} % interval {low:+.1f} to {high:+.1f})"
    )
