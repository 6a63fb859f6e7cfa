"""Everything that shapes a head or a fine-tuned network, as one value with a key."""

from dataclasses import asdict, dataclass

from tasks.artifacts import fingerprint
from tasks.backbone.backbones import Backbone
from tasks.bottleneck.settings import BottleneckSettings
from tasks.decode.settings import DecodeSettings, Encoding

#: Raised when the same settings give another head.
CODE_VERSION = 2
#: Raised when the same settings give another network.
NETWORK_VERSION = 1


@dataclass(frozen=True)
class AdamRecipe:
    """Several strengths of weight decay side by side, by Adam, on standardised bottlenecks; see `tasks.train.adam`.

    Args:
        l2: Strengths of weight decay to choose from on the validation split.
        epochs: Passes over the training photos; small sets get more.
        batch_size: Bottlenecks in a step.
        learning_rate: Adam's rate at the first step; it falls to zero as a cosine.
        averaging: Decay of the moving average of the weights that predictions use.
        class_weights: Whether every label counts alike, however many photos it has.
    """

    l2: tuple[float, ...]
    epochs: int
    batch_size: int
    learning_rate: float
    averaging: float
    class_weights: bool


@dataclass(frozen=True)
class ClassicRecipe:
    """The loop of retrain.py: plain gradient descent on bottlenecks as they are; see `tasks.train.classic`.

    Args:
        steps: Steps of gradient descent.
        batch_size: Bottlenecks in a step, drawn with replacement; also photos of a validation on the way.
        learning_rate: Rate of every step.
        averaging: Decay of the moving average of the weights, which `watch` restores; predictions use the weights.
    """

    steps: int
    batch_size: int
    learning_rate: float
    averaging: float


@dataclass(frozen=True)
class TrainSettings:
    """Everything that shapes a head.

    Args:
        bottleneck: What the head is trained on.
        recipe: How it is trained.
        seed: Of the order in which bottlenecks are drawn, and of random weights.
    """

    bottleneck: BottleneckSettings
    recipe: AdamRecipe | ClassicRecipe
    seed: int

    @property
    def backbone(self) -> Backbone:
        """The backbone."""
        return self.bottleneck.backbone

    @property
    def decode(self) -> DecodeSettings:
        """How photos become pictures."""
        return self.bottleneck.decode

    @property
    def training_views(self) -> slice:
        """The views of a photo that the head is trained on: the classic one knows no mirror image but a drawn one."""
        bottleneck = self.bottleneck
        if isinstance(self.recipe, AdamRecipe):
            return slice(0, bottleneck.all_views)
        return slice(bottleneck.views, bottleneck.all_views) if bottleneck.distortion else slice(0, 1)

    @property
    def predicting_views(self) -> slice:
        """The views of a photo that it is predicted from, none of them drawn."""
        return slice(0, self.bottleneck.views if isinstance(self.recipe, AdamRecipe) else 1)

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


@dataclass(frozen=True)
class FinetuneSettings:
    """Everything that shapes a network whose backbone is trained along with its head; see `tasks.train.network`.

    Args:
        backbone: The backbone that it starts from.
        encoding: How its pictures are stored.
        epochs: Passes over the training photos.
        batch_size: Photos in a step.
        learning_rate: Adam's rate after the first steps; it falls to zero as a cosine.
        seed: Of the order of photos, of their mirroring, and of the head's first weights.
    """

    backbone: Backbone
    encoding: Encoding
    epochs: int
    batch_size: int
    learning_rate: float
    seed: int

    @property
    def decode(self) -> DecodeSettings:
        """How photos become pictures."""
        return self.backbone.decode(self.encoding)

    def key(self, snapshot: str) -> str:
        """Key of the network that a snapshot's photos give."""
        return fingerprint(
            {**asdict(self), "decode": self.decode.key, "snapshot": snapshot, "code_version": NETWORK_VERSION}
        )
