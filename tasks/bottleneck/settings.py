"""Everything that shapes a bottleneck, as one value with a key."""

from dataclasses import asdict, dataclass

from tasks.artifacts import DataRoot, Store, bottleneck_schema, describe, fingerprint
from tasks.backbone.backbones import Backbone
from tasks.bottleneck.precision import Precision
from tasks.bottleneck.stored import Dtype
from tasks.decode.settings import DecodeSettings, Encoding

#: Raised when the vectors that are written for a picture change.
CODE_VERSION = 3
ROWS_PER_GROUP = 4096


@dataclass(frozen=True)
class Distortion:
    """How distorted views are drawn; see `tasks.bottleneck.views`.

    Args:
        views: Distorted views of each photo.
        flip_left_right: Whether half of them are mirrored.
        random_crop: Margin that is cropped away at a random place, in per cent of what stays.
        random_scale: How much larger the picture is made at most before it is cropped, in per cent.
        random_brightness: How much brighter or darker it is made at most, in per cent.
        seed: Of the draw.
    """

    views: int
    flip_left_right: bool
    random_crop: int
    random_scale: int
    random_brightness: int
    seed: int


@dataclass(frozen=True)
class BottleneckSettings:
    """Everything that shapes a bottleneck.

    Args:
        backbone: The backbone.
        encoding: How its pictures are stored.
        precision: What the forward pass computes in.
        views: Views that predict: 1 is the plain photo, 2 adds its mirror image.
        distortion: How the further views, which only train, are drawn; None where there are none.
        dtype: What they are stored in; see `tasks.bottleneck.stored`.
    """

    backbone: Backbone
    encoding: Encoding
    precision: Precision
    views: int
    distortion: Distortion | None = None
    dtype: Dtype = "float32"

    @property
    def decode(self) -> DecodeSettings:
        """How photos become its pictures."""
        return self.backbone.decode(self.encoding)

    @property
    def all_views(self) -> int:
        """Vectors of each photo."""
        return self.views + (self.distortion.views if self.distortion else 0)

    @property
    def key(self) -> str:
        """Key of the bottleneck store."""
        ingredients = {**asdict(self), "decode": self.decode.key, "code_version": CODE_VERSION}
        if self.dtype == "float32":
            # As when there was no other: stores and heads of then stay what they are called.
            del ingredients["dtype"]
        return fingerprint(ingredients)

    def store(self, root: DataRoot) -> Store:
        """The store of the bottlenecks made with these settings."""
        columns = bottleneck_schema(self.backbone.width, self.dtype)
        schema = describe(columns, "bottleneck", self.key, asdict(self))
        return Store(root.bottleneck(self.key), schema, ROWS_PER_GROUP)
