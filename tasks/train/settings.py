"""Everything that shapes a head or a fine-tuned network, as one value with a key."""

from dataclasses import asdict, dataclass, replace
from itertools import accumulate, groupby

from tasks.backbone.backbones import Backbone
from tasks.bottleneck.settings import BottleneckSettings
from tasks.decode.settings import DecodeSettings, Encoding
from tasks.keys import fingerprint

#: Raised when the same settings give another head.
CODE_VERSION = 3
#: Raised when the same settings give another network.
NETWORK_VERSION = 1


@dataclass(frozen=True)
class LdaRecipe:
    """Linear discriminant analysis in closed form, on square roots of bottlenecks; see `tasks.train.lda`.

    Args:
        shrinkage: What is added to the variance within labels of a standardised number, to choose from.
        layer_weights: Weights of the layers before the last one, to choose from; the last one has 1, and 0 leaves out.
        class_weights: Whether every label is as likely beforehand, however many photos it has.
    """

    shrinkage: tuple[float, ...] = (0.03, 0.1, 0.3, 1.0, 3.0)
    layer_weights: tuple[float, ...] = (1.0, 0.5, 0.25, 0.0)
    class_weights: bool = False


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
        bottlenecks: What the head is trained on: of each backbone those of each crop. Those of several backbones stand
            side by side, as more numbers of a view; those of several crops are further views.
        recipe: How it is trained.
        seed: Of the order in which bottlenecks are drawn, and of random weights.
    """

    bottlenecks: tuple[BottleneckSettings, ...]
    recipe: LdaRecipe | ClassicRecipe
    seed: int

    @property
    def rooted(self) -> bool:
        """Whether the head takes signed square roots of all layers; a classic one takes averages of the last layer."""
        return isinstance(self.recipe, LdaRecipe)

    @property
    def backbones(self) -> tuple[Backbone, ...]:
        """The backbones, each with the crop that it was made for."""
        return tuple(same[0].backbone for same in self.by_backbone)

    @property
    def decodes(self) -> tuple[DecodeSettings, ...]:
        """How photos become pictures: one for each of `bottlenecks`."""
        return tuple(bottleneck.decode for bottleneck in self.bottlenecks)

    @property
    def by_backbone(self) -> tuple[tuple[BottleneckSettings, ...], ...]:
        """The bottlenecks of each backbone, in their order: one for each crop."""
        groups = groupby(self.bottlenecks, lambda bottleneck: replace(bottleneck.backbone, crop="centre"))
        return tuple(tuple(same) for _, same in groups)

    @property
    def crops(self) -> tuple[BottleneckSettings, ...]:
        """The bottlenecks of the first backbone, one for each crop: their views follow each other."""
        return self.by_backbone[0]

    @property
    def predicting_views(self) -> tuple[int, ...]:
        """Places of the views that a photo is predicted from, none of them drawn: the classic head takes one."""
        if isinstance(self.recipe, ClassicRecipe):
            return (0,)
        starts = accumulate((bottleneck.all_views for bottleneck in self.crops), initial=0)
        return tuple(
            start + view for start, crop in zip(starts, self.crops, strict=False) for view in range(crop.views)
        )

    @property
    def training_views(self) -> tuple[int, ...]:
        """Places of the views that the head is trained on: the classic one knows no mirror image but a drawn one."""
        first = self.crops[0]
        if isinstance(self.recipe, ClassicRecipe):
            return tuple(range(first.views, first.all_views)) if first.distortion else (0,)
        return tuple(range(sum(bottleneck.all_views for bottleneck in self.crops)))

    def key(self, snapshot: str) -> str:
        """Key of the head that a snapshot's photos give."""
        return fingerprint(
            {
                **asdict(self),
                "bottlenecks": [bottleneck.key for bottleneck in self.bottlenecks],
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
    def backbones(self) -> tuple[Backbone, ...]:
        """The backbone, as a head may have several."""
        return (self.backbone,)

    @property
    def decode(self) -> DecodeSettings:
        """How photos become pictures."""
        return self.backbone.decode(self.encoding)

    @property
    def decodes(self) -> tuple[DecodeSettings, ...]:
        """The same, as a head may have several."""
        return (self.decode,)

    def key(self, snapshot: str) -> str:
        """Key of the network that a snapshot's photos give."""
        return fingerprint(
            {**asdict(self), "decode": self.decode.key, "snapshot": snapshot, "code_version": NETWORK_VERSION}
        )
