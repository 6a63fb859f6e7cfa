"""Makes a decision on a dataset's champion and keeps what it came to."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from tasks.champion.champion_file import Champion, publish_champion, read_champion
from tasks.champion.champion_predictions import ChampionGoneError, ChampionInputs
from tasks.champion.decision import Comparison, Decision
from tasks.champion.mcnemar import compare_hits
from tasks.champion.paired_results import Paired, pair_hits
from tasks.champion.policy import Candidate, choose
from tasks.errors import StoreError
from tasks.progress import Progress
from tasks.storage.files import sweep
from tasks.storage.locks import lock_folder


@dataclass(frozen=True)
class DecisionInputs:
    """What is decided on.

    Args:
        key: Key of the decision.
        dataset: Name of the dataset.
        run: The run that asks.
        snapshot: Key of the new model's snapshot.
        evaluation: Key of its evaluation.
        test: Photos, accuracy and interval of the new model on the test split.
        new: The new model.
    """

    key: str
    dataset: str
    run: str
    snapshot: str
    evaluation: str
    test: Mapping[str, Any]
    new: Candidate


class DecisionRecord(NamedTuple):
    """What was decided.

    Args:
        decision: The decision.
        asked: Photos that the champion was asked of for it.
        recalled: Photos that it had been tested on before.
    """

    decision: Decision
    asked: int
    recalled: int


def decide(occasion: DecisionInputs, source: ChampionInputs, progress: Progress) -> DecisionRecord:
    """Decide, and publish who is champion where that is another one than before.

    One decision of a dataset is made at a time; a second one waits for the first. A decision that was published before,
    by a run that was killed before it could say so, is taken as it is.

    Args:
        occasion: What to decide on.
        source: Where everything is.
        progress: Told of photos that the champion is asked of, and of what is damaged.

    Raises:
        StoreError: A store, or what the new model says, is damaged.
    """
    path = source.root.champion(occasion.dataset)
    with lock_folder(source.root.decisions(occasion.dataset)):
        sweep(path.parent)
        damage: StoreError | None = None
        try:
            champion = read_champion(path)
        except StoreError as exc:
            champion, damage = None, exc
            progress.tell(str(exc))
        if champion is not None:
            if champion.decided == occasion.key:
                return DecisionRecord(champion.decision, 0, 0)
            # A clock that was ahead, or --allow-future-date, made it champion from a day that is yet to come.
            champion = replace(champion, since=min(champion.since, dt.date.today()))
        umpire = _Comparator(occasion.evaluation, source, progress)
        decision = choose(occasion.new, champion, umpire.compare)
        if damage and decision.verdict == "first":
            reason = f"The model is taken for the first of its dataset: {path}, which named the champion, was damaged."
            decision = replace(decision, reason=reason)
        after = _after(decision, champion, occasion)
        if after is not None and after != champion:
            publish_champion(path, occasion.dataset, after)
        return DecisionRecord(decision, umpire.asked, umpire.recalled)


def _after(decision: Decision, champion: Champion | None, occasion: DecisionInputs) -> Champion | None:
    """Who is champion after a decision."""
    if decision.verdict in ("first", "new"):
        return Champion(
            model=decision.model,
            since=decision.since or occasion.new.date,
            evaluation=occasion.evaluation,
            snapshot=occasion.snapshot,
            run=occasion.run,
            test=occasion.test,
            decided=occasion.key,
            decision=decision,
        )
    if champion is not None and decision.verdict == "same":
        # Its older evaluation may be gone by now.
        return replace(champion, evaluation=occasion.evaluation)
    return champion


class _Comparator:
    """Compares a new model with the champion, and counts of how many photos it had to ask."""

    def __init__(self, evaluation: str, source: ChampionInputs, progress: Progress) -> None:
        self._evaluation, self._source, self._progress = evaluation, source, progress
        self.asked = self.recalled = 0

    def compare(self, champion: Champion) -> Comparison | None:
        paired = self._pair(champion)
        self.asked, self.recalled = paired.asked, len(paired.new) - paired.asked
        return compare_hits(paired.new, paired.champion, paired.left_out) if len(paired.new) else None

    def _pair(self, champion: Champion) -> Paired:
        try:
            return pair_hits(self._evaluation, champion, self._source, self._progress)
        except ChampionGoneError as exc:
            # Its sentence names the file and the remedy; the decision only says what it meant for the champion.
            self._progress.tell(str(exc.__cause__))
            raise
