"""Everything that shapes a head, as one value with a key."""

from dataclasses import asdict, dataclass

from tasks.artifacts import fingerprint
from tasks.bottleneck.settings import BottleneckSettings

#: Raised when the same settings give another head.
CODE_VERSION = 1


@dataclass(frozen=True)
class TrainSettings:
    """Everything that shapes a head.

    Args:
        bottleneck: What the head is trained on.
        l2: Strengths of weight decay to choose from on the validation split.
        epochs: Passes over the training photos; small sets get more, see `tasks.train.fit`.
        batch_size: Bottlenecks in a step.
        learning_rate: Adam's rate at the first step; it falls to zero as a cosine.
        averaging: Decay of the moving average of the weights that predictions use.
        class_weights: Whether every label counts alike, however many photos it has.
        seed: Of the order in which bottlenecks are drawn.
    """

    bottleneck: BottleneckSettings
    l2: tuple[float, ...]
    epochs: int
    batch_size: int
    learning_rate: float
    averaging: float
    class_weights: bool
    seed: int

    def key(self, snapshot: str) -> str:
        """Key of the head that a snapshot's photos give."""
        return fingerprint(
            {
                **asdict(self),
                "bottleneck": self.bottleneck.key,
                "snapshot": snapshot,
                "code_version": CODE_VERSION,
            }
        )
