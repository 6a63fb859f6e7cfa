"""Policy: whether a new model takes the place of the champion, and the reason."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tasks.champion.champion_file import Champion
from tasks.champion.champion_predictions import ChampionGoneError
from tasks.champion.decision import Comparison, Decision, KeptBy, LabelComparison
from tasks.errors import first_of
from tasks.runs.records import Verdict

#: Compares the new model with a champion; None without a photo to compare both on. It may raise ChampionGoneError.
Compare = Callable[[Champion], Comparison | None]
#: Labels that a reason names.
_NAMED = 5


@dataclass(frozen=True)
class Candidate:
    """A new model."""

    model: str  #: Key of the model.
    date: dt.date  #: Date of its run.
    accuracy: float  #: Its test accuracy, in [0, 1].
    min_accuracy: float  #: Accuracy below which it is refused, in [0, 1].
    label_gate: bool = True  #: Whether it does not become champion if it is worse on a label.
    drift: str = ""  #: Sentence on the drift for which it is refused; empty where there is none, or it is allowed.


def choose(new: Candidate, champion: Champion | None, compare: Compare) -> Decision:
    """Choose between a new model and the champion.

    The new model takes the champion's place unless it is worse beyond the interval, or on a label. A run for a date
    before the champion's own fills in for a missed run, and its model was trained on the photos of that date: it takes
    the place only if it is better beyond the interval, and is champion since the same date as the one before it. The
    orders of persons come first: nothing replaces a pinned champion, and no run restores a model that a person rolled
    back from.
    """
    if new.accuracy < new.min_accuracy:
        figures = f"its test accuracy of {new.accuracy:.1%} is below the {new.min_accuracy:.1%} asked for"
        return _keep("refused", new, champion, f"The new model is refused: {figures}.")
    if new.drift:
        refused = _keep("refused", new, champion, f"The new model is refused. {new.drift}.")
        return replace(refused, kept_by="drift")
    if champion is None:
        return Decision("first", new.model, new.model, None, new.date, "First model of this dataset.", None)
    if champion.model == new.model:
        return _keep("same", new, champion, f"The model is the champion itself, as it has been since {champion.since}.")
    if champion.pinned or new.model in champion.rolled_back:
        return _obey(new, champion, compare)
    return _compete(new, champion, compare)


def _obey(new: Candidate, champion: Champion, compare: Compare) -> Decision:
    """Keep the champion as a person ordered, and compare the models for the person to see."""
    try:
        comparison = compare(champion)
        figures = f"; {_figures(comparison)}" if comparison else ""
    except ChampionGoneError as exc:
        comparison, figures = None, f"; {exc} is gone or damaged"
    stays, verb = f"The champion since {champion.since}, {champion.model}, stays", "python -m pipeline champion"
    if champion.pinned:
        reason = f"{stays}: it has been pinned since {champion.pinned}, until {verb} --unpin{figures}."
        return _stay("pin", new, champion, reason, comparison)
    reason = f"{stays}: a person rolled back from the new model, which only {verb} --promote restores{figures}."
    return _stay("rollback", new, champion, reason, comparison)


def _compete(new: Candidate, champion: Champion, compare: Compare) -> Decision:
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
            return _stay("date", new, champion, f"{stays}: the run is for an earlier date, and {cause}.")
        return _replace(new, champion, f"{takes_place} without a comparison: {cause}.")
    figures = _figures(comparison)
    obstacle = _find_obstacle(new, comparison, late=late)
    if obstacle is None:
        how = "" if comparison.better else ", no worse beyond chance"
        return _replace(new, champion, f"{takes_place}: {figures}{how}.", comparison)
    kept_by, why = obstacle
    return _stay(kept_by, new, champion, f"{stays}: {figures}, {why}.", comparison)


def _find_obstacle(new: Candidate, comparison: Comparison, *, late: bool) -> tuple[KeptBy, str] | None:
    """Find the reason for which a compared model does not take the place; None if it does."""
    if comparison.worse:
        return "accuracy", "worse beyond chance"
    if new.label_gate and comparison.worse_labels:
        return "label", f"but is worse beyond chance on {_label_figures(comparison.worse_labels)}"
    if late and not comparison.better:
        return "date", "for an earlier date, and no better beyond chance"
    return None


def _keep(verdict: Verdict, new: Candidate, champion: Champion | None, reason: str) -> Decision:
    model, since = (champion.model, champion.since) if champion else (None, None)
    return Decision(verdict, new.model, model, model, since, reason, None)


def _stay(
    kept_by: KeptBy, new: Candidate, champion: Champion, reason: str, comparison: Comparison | None = None
) -> Decision:
    return replace(_keep("stays", new, champion, reason), comparison=comparison, kept_by=kept_by)


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


def _label_figures(labels: Sequence[LabelComparison]) -> str:
    figures = [
        f"the label {label.label!r} ({label.new_right:,} of {label.photos:,} right in place of "
        f"{label.champion_right:,}, p = {label.p_value:.2g})"
        for label in labels
    ]
    return first_of(figures, _NAMED)
