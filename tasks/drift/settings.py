"""Settings of the drift stage."""

from dataclasses import dataclass

from tasks.bottleneck.settings import BottleneckSettings
from tasks.decode.settings import DecodeSettings
from tasks.keys import fingerprint
from tasks.train.settings import FinetuneSettings, TrainSettings

#: Responses to new photos that differ from earlier ones: report it, also refuse the model, or compare nothing.
ON_DRIFT = ("warn", "fail", "ignore")
#: Raised when the same photos give other statistics.
STATISTICS_VERSION = 1
#: Raised when the same statistics give another result.
CODE_VERSION = 1


@dataclass(frozen=True)
class DriftSettings:
    """The pictures and the vectors that are compared: those of a run's first backbone."""

    decode: DecodeSettings  #: How the pictures are decoded.
    bottleneck: BottleneckSettings | None  #: How the vectors are computed; None where a network is fine-tuned.

    @classmethod
    def of(cls, train: TrainSettings | FinetuneSettings) -> "DriftSettings":
        """The settings that go with those of a training."""
        return cls(train.decodes[0], train.bottlenecks[0] if isinstance(train, TrainSettings) else None)

    @property
    def statistics_key(self) -> str:
        """Key of the statistics of single photos."""
        vectors = self.bottleneck.key if self.bottleneck else None
        return fingerprint({"decode": self.decode.key, "bottleneck": vectors, "code_version": STATISTICS_VERSION})

    def key(self, snapshot: str, baseline: str) -> str:
        """Key of the comparison of a snapshot with an earlier one, which is empty if there is none."""
        keys = {"statistics": self.statistics_key, "snapshot": snapshot, "baseline": baseline}
        return fingerprint({**keys, "code_version": CODE_VERSION})
