"""Everything that shapes a bottleneck, as one value with a key."""

import json
from dataclasses import asdict, dataclass
from itertools import accumulate

from tasks.backbone.backbones import Backbone
from tasks.bottleneck.precision import Precision
from tasks.bottleneck.quantisation import Quantisation, quantisation_of
from tasks.decode.settings import DecodeSettings, Encoding
from tasks.keys import fingerprint
from tasks.shards.schemas import bottleneck_schema, describe
from tasks.shards.store import ShardStore
from tasks.storage.layout import DataRoot

#: Raised when the vectors that are written for a picture change.
CODE_VERSION = 4
ROWS_PER_GROUP = 4096
#: What the metadata of a store says of its numbers: how the average of a layer's activations comes out of one.
AVERAGE = "sign(number) * (number * step) ** 2"


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
        precision: What the forward pass computes in. Under one key, processors may give other numbers: in float32,
            those with AVX2 and with AVX-512 gave the same bits, one with neither differed in 0.002 % of the stored
            numbers, by one step; a GPU sums up in another order too. Between bfloat16 with AVX-512 and with AMX, and
            between kinds of processor in int8, the difference was not measured.
        views: Views that predict: 1 is the plain photo, 2 adds its mirror image.
        distortion: How the further views, which only train, are drawn; None where there are none.
    """

    backbone: Backbone
    encoding: Encoding
    precision: Precision
    views: int
    distortion: Distortion | None = None

    @property
    def decode(self) -> DecodeSettings:
        """How photos become its pictures."""
        return self.backbone.decode(self.encoding)

    @property
    def all_views(self) -> int:
        """Vectors of each photo."""
        return self.views + (self.distortion.views if self.distortion else 0)

    @property
    def quantisation(self) -> Quantisation:
        """What its numbers are stored in."""
        return quantisation_of(self.backbone)

    @property
    def key(self) -> str:
        """Key of the bottleneck store."""
        return fingerprint({**asdict(self), "decode": self.decode.key, "code_version": CODE_VERSION})

    def store(self, root: DataRoot) -> ShardStore:
        """The store of the bottlenecks made with these settings.

        Its metadata says which numbers are whose: `layers` has the name of each layer and its slice, `step` what 1 is.
        """
        dtype, step = self.quantisation
        described = describe(bottleneck_schema(self.backbone.width, dtype), "bottleneck", self.key, asdict(self))
        ends = list(accumulate(self.backbone.widths))
        layers = [
            {"layer": name, "start": start, "stop": stop}
            for name, start, stop in zip(self.backbone.layers, [0, *ends], ends, strict=False)
        ]
        metadata = {**described.metadata, "layers": json.dumps(layers), "step": repr(step), "average": AVERAGE}
        return ShardStore(root.bottleneck(self.key), described.with_metadata(metadata), ROWS_PER_GROUP)
