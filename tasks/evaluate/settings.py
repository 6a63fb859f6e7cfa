"""Settings of the evaluate stage."""

from dataclasses import dataclass

from tasks.keys import fingerprint
from tasks.train.settings import FinetuneSettings, TrainSettings

#: Raised when the same settings give other metrics or predictions.
CODE_VERSION = 6


@dataclass(frozen=True)
class EvaluateSettings:
    """Settings that determine an evaluation."""

    #: Settings of the head, which cross-validation uses for its own heads too, or of the fine-tuned network.
    train: TrainSettings | FinetuneSettings
    folds: int  #: Folds of a head's cross-validation; 0 for none.

    def key(self, snapshot: str) -> str:
        """Return the key of the evaluation on a snapshot."""
        return fingerprint({"train": self.train.key(snapshot), "folds": self.folds, "code_version": CODE_VERSION})
