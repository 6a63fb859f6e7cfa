"""Settings of the bottleneck stage.

A run with nothing to do computes their keys, so that numpy and Arrow are imported inside functions.
"""

import json
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from tasks.backbone.backbones import Backbone
from tasks.bottleneck.precision import Precision
from tasks.decode.settings import DecodeSettings, Encoding
from tasks.keys import fingerprint
from tasks.storage.layout import DataRoot

if TYPE_CHECKING:
    from tasks.bottleneck.quantisation import Quantisation
    from tasks.shards.store import ShardStore

#: Increased when the vectors of a picture change.
CODE_VERSION = 4
ROWS_PER_GROUP = 4096
#: Formula in a store's metadata: the average of a layer's activations from a stored number.
AVERAGE = "sign(number) * (number * step) ** 2"


@dataclass(frozen=True)
class Distortion:
    """How distorted views are drawn; see `tasks.bottleneck.views`."""

    views: int  #: Distorted views of each photo.
    flip_left_right: bool  #: Whether half of them are mirrored.
    random_crop: int  #: Margin that is cropped at a random place, in per cent of the rest.
    random_scale: int  #: Largest enlargement before the crop, in per cent.
    random_brightness: int  #: Largest change of brightness, in per cent.
    seed: int  #: Seed of the random numbers.


@dataclass(frozen=True)
class BottleneckSettings:
    """Everything that determines a bottleneck."""

    backbone: Backbone
    encoding: Encoding  #: How its pictures are stored.
    #: The precision of the forward pass. With one key, processors may give different numbers: in float32, those with
    #: AVX2 and with AVX-512 gave the same bits, one with neither differed in 0.002 % of the stored numbers, by one
    #: step; a GPU adds in another order too. The difference was not measured between bfloat16 with AVX-512 and with
    #: AMX, nor between kinds of processor in int8.
    precision: Precision
    views: int  #: Views that predict: 1 is the plain photo, 2 adds its mirror image.
    #: How distorted views, which are used only in training, are drawn; None for none.
    distortion: Distortion | None = None

    @property
    def decode(self) -> DecodeSettings:
        """How photos are decoded for the backbone."""
        return self.backbone.decode(self.encoding)

    @property
    def all_views(self) -> int:
        """Number of vectors of each photo."""
        return self.views + (self.distortion.views if self.distortion else 0)

    @property
    def quantisation(self) -> "Quantisation":
        """How its numbers are stored."""
        from tasks.bottleneck.quantisation import quantisation_of

        return quantisation_of(self.backbone)

    @property
    def key(self) -> str:
        """Key of the bottleneck store."""
        return fingerprint({**asdict(self), "decode": self.decode.key, "code_version": CODE_VERSION})

    def store(self, root: DataRoot) -> "ShardStore":
        """The store of the bottlenecks with these settings.

        Its metadata describes the numbers: `layers` has the name of each layer and its slice, `step` the size of 1.
        """
        from tasks.shards.schemas import bottleneck_schema, describe
        from tasks.shards.store import ShardStore

        dtype, step = self.quantisation
        described = describe(bottleneck_schema(self.backbone.width, dtype), "bottleneck", self.key, asdict(self))
        ends = list(accumulate(self.backbone.widths))
        layers = [
            {"layer": name, "start": start, "stop": stop}
            for name, start, stop in zip(self.backbone.layers, [0, *ends], ends, strict=False)
        ]
        metadata = {**described.metadata, "layers": json.dumps(layers), "step": repr(step), "average": AVERAGE}
        return ShardStore(root.bottleneck(self.key), described.with_metadata(metadata), ROWS_PER_GROUP)
