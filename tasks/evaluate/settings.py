"""Everything that shapes an evaluation, as one value with a key."""

from dataclasses import dataclass

from tasks.keys import fingerprint
from tasks.train.settings import FinetuneSettings, TrainSettings

#: Raised when the same settings give other metrics or predictions.
CODE_VERSION = 4


@dataclass(frozen=True)
class EvaluateSettings:
    """Everything that shapes an evaluation.

    Args:
        train: The head, and how cross-validation trains its own; or the fine-tuned network.
        folds: Folds of a head's cross-validation; 0 does without one.
    """

    train: TrainSettings | FinetuneSettings
    folds: int

    def key(self, snapshot: str) -> str:
        """Key of the evaluation on a snapshot."""
        return fingerprint({"train": self.train.key(snapshot), "folds": self.folds, "code_version": CODE_VERSION})
