"""Settings of a head or of a fine-tuned network, each one value with a key."""

from dataclasses import asdict, dataclass, replace
from itertools import accumulate, groupby

from tasks.backbone.backbones import Backbone
from tasks.bottleneck.settings import BottleneckSettings
from tasks.decode.settings import DecodeSettings, Encoding
from tasks.keys import fingerprint

#: Raised when the same settings give another head.
CODE_VERSION = 4
#: The earlier version whose heads can be used: they lack the novelty.
_EARLIER_VERSION = 3
#: Raised when the same settings give another network.
NETWORK_VERSION = 1


@dataclass(frozen=True)
class LdaRecipe:
    """Linear discriminant analysis in closed form, on square roots of bottlenecks; see `tasks.train.lda`."""

    #: Candidates of the value that is added to the variance within labels of a standardised number.
    shrinkage: tuple[float, ...] = (0.03, 0.1, 0.3, 1.0, 3.0)
    #: Candidates of the weight of layers before the last one, which has 1; 0 leaves them out.
    layer_weights: tuple[float, ...] = (1.0, 0.5, 0.25, 0.0)
    class_weights: bool = False  #: Whether all labels have the same prior, however many photos they have.


@dataclass(frozen=True)
class ClassicRecipe:
    """The loop of retrain.py: plain gradient descent on bottlenecks as they are; see `tasks.train.classic`."""

    steps: int  #: Steps of gradient descent.
    batch_size: int  #: Bottlenecks in a step, drawn with replacement, and photos of each validation on the way.
    learning_rate: float  #: Rate of every step.
    #: Decay of the moving averages of the weights, which `watch` measures; predictions use the weights.
    averaging: float


@dataclass(frozen=True)
class TrainSettings:
    """Settings of a head."""

    #: Bottlenecks of each crop of each backbone. Those of several backbones stand side by side, as more numbers of a
    #: view; those of several crops are further views.
    bottlenecks: tuple[BottleneckSettings, ...]
    recipe: LdaRecipe | ClassicRecipe
    seed: int  #: Seed of the order in which bottlenecks are drawn, and of random weights.

    @property
    def rooted(self) -> bool:
        """Whether the inputs are signed square roots of all layers; otherwise averages of the last layer."""
        return isinstance(self.recipe, LdaRecipe)

    @property
    def backbones(self) -> tuple[Backbone, ...]:
        """The backbones, each with its first crop."""
        return tuple(same[0].backbone for same in self.by_backbone)

    @property
    def decodes(self) -> tuple[DecodeSettings, ...]:
        """Settings of the pictures, one for each of `bottlenecks`."""
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
        """Indices of the views that predict a photo, none of them drawn; a classic head takes one."""
        if isinstance(self.recipe, ClassicRecipe):
            return (0,)
        starts = accumulate((crop.all_views for crop in self.crops), initial=0)
        pairs = zip(starts, self.crops, strict=False)
        return tuple(start + view for start, crop in pairs for view in range(crop.views))

    @property
    def training_views(self) -> tuple[int, ...]:
        """Indices of the views that the head is trained on; a classic one takes no mirror images but drawn ones."""
        first = self.crops[0]
        if isinstance(self.recipe, ClassicRecipe):
            return tuple(range(first.views, first.all_views)) if first.distortion else (0,)
        return tuple(range(sum(crop.all_views for crop in self.crops)))

    def key(self, snapshot: str, code_version: int = CODE_VERSION) -> str:
        """Return the key of the head of a snapshot, trained by this or another version."""
        return fingerprint(
            {
                **asdict(self),
                "bottlenecks": [bottleneck.key for bottleneck in self.bottlenecks],
                "snapshot": snapshot,
                "code_version": code_version,
            }
        )

    def readable_keys(self, snapshot: str) -> tuple[str, ...]:
        """Return the keys of the heads of a snapshot that this version can use."""
        return tuple(self.key(snapshot, version) for version in (CODE_VERSION, _EARLIER_VERSION))


@dataclass(frozen=True)
class FinetuneSettings:
    """Settings of a network whose backbone is trained too; see `tasks.train.network`."""

    backbone: Backbone  #: The backbone that the training starts from.
    encoding: Encoding  #: Encoding of the pictures.
    epochs: int  #: Passes over the training photos.
    batch_size: int  #: Photos in a step.
    learning_rate: float  #: Adam's rate after the warm-up; it falls to zero as a cosine.
    seed: int  #: Seed of the order of photos, of their mirroring, and of the softmax layer's first weights.

    @property
    def backbones(self) -> tuple[Backbone, ...]:
        """The backbone, in a tuple as of `TrainSettings`."""
        return (self.backbone,)

    @property
    def decode(self) -> DecodeSettings:
        """Settings of the pictures."""
        return self.backbone.decode(self.encoding)

    @property
    def decodes(self) -> tuple[DecodeSettings, ...]:
        """Settings of the pictures, in a tuple as of `TrainSettings`."""
        return (self.decode,)

    def key(self, snapshot: str) -> str:
        """Return the key of the network of a snapshot."""
        return fingerprint(
            {**asdict(self), "decode": self.decode.key, "snapshot": snapshot, "code_version": NETWORK_VERSION}
        )

    def readable_keys(self, snapshot: str) -> tuple[str, ...]:
        """Return the keys of the networks of a snapshot that this version can use."""
        return (self.key(snapshot),)
