"""Decides on a dataset's champion and publishes it."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from tasks.champion.champion_file import Champion, publish_champion, read_champion
from tasks.champion.champion_predictions import ChampionGoneError, ChampionInputs
from tasks.champion.decision import Comparison, Decision
from tasks.champion.mcnemar import compare_hits, compare_labels
from tasks.champion.paired_results import pair_results
from tasks.champion.policy import Candidate, choose
from tasks.errors import StoreError
from tasks.progress import Progress
from tasks.storage.files import lock_folder, sweep


@dataclass(frozen=True)
class DecisionInputs:
    """A new model and the decision that is to be made on it."""

    key: str  #: Key of the decision.
    dataset: str  #: Name of the dataset.
    run: str  #: The run that decides.
    snapshot: str  #: Key of the new model's snapshot.
    evaluation: str  #: Key of the new model's evaluation.
    test: Mapping[str, Any]  #: Photos, accuracy and interval of the new model on the test split.
    new: Candidate  #: The new model.


class DecisionRecord(NamedTuple):
    """A decision and the photos that it compared."""

    decision: Decision
    predicted: int  #: Photos that the champion predicted for it.
    recalled: int  #: Photos whose predictions the champion's evaluation had.


def decide(case: DecisionInputs, inputs: ChampionInputs, progress: Progress) -> DecisionRecord:
    """Decide on the champion, and publish it if it is another one than before.

    A second decision on a dataset waits for the first. If a run was killed after it had published the champion, its
    decision is taken from the champion's file.

    Raises:
        StoreError: A store or the predictions of the new model are damaged.
    """
    path = inputs.root.champion(case.dataset)
    with lock_folder(inputs.root.decisions(case.dataset)):
        sweep(path.parent)
        damage: StoreError | None = None
        try:
            champion = read_champion(path)
        except StoreError as exc:
            champion, damage = None, exc
            progress.tell(str(exc))
        if champion is not None:
            if champion.decided == case.key:
                return DecisionRecord(champion.decision, 0, 0)
            # A clock that was ahead, or --allow-future-date, made it champion from a day that is yet to come.
            champion = replace(champion, since=min(champion.since, dt.date.today()))
        comparator = _Comparator(case.evaluation, inputs, progress)
        decision = choose(case.new, champion, comparator.compare)
        if damage and decision.verdict == "first":
            reason = f"First model of this dataset, as far as is known: {path}, which named the champion, was damaged."
            decision = replace(decision, reason=reason)
        after = _champion_after(decision, champion, case)
        if after is not None and after != champion:
            publish_champion(path, case.dataset, after)
        return DecisionRecord(decision, comparator.predicted, comparator.recalled)


def _champion_after(decision: Decision, champion: Champion | None, case: DecisionInputs) -> Champion | None:
    if decision.verdict in ("first", "new"):
        new = Champion(
            model=decision.model,
            since=decision.since or case.new.date,
            evaluation=case.evaluation,
            snapshot=case.snapshot,
            run=case.run,
            test=case.test,
            decided=case.key,
            decision=decision,
        )
        return champion.succeeded_by(new) if champion else new
    if champion is not None and decision.verdict == "same":
        # Its older evaluation may be gone by now.
        return replace(champion, evaluation=case.evaluation)
    return champion


class _Comparator:
    """Compares a new model with the champion, and counts the photos that the champion predicted for it."""

    def __init__(self, evaluation: str, inputs: ChampionInputs, progress: Progress) -> None:
        self._evaluation, self._inputs, self._progress = evaluation, inputs, progress
        self.predicted = self.recalled = 0

    def compare(self, champion: Champion) -> Comparison | None:
        try:
            results = pair_results(self._evaluation, champion, self._inputs, self._progress)
        except ChampionGoneError as exc:
            # The cause names the file and the remedy; the decision only says which part of the champion is gone.
            self._progress.tell(str(exc.__cause__))
            raise
        self.predicted, self.recalled = results.predicted, len(results.new) - results.predicted
        if not len(results.new):
            return None
        labels = compare_labels(results.new, results.champion, results.labels)
        return replace(compare_hits(results.new, results.champion, results.left_out), labels=labels)
