"""Everything that shapes a bottleneck, as one value with a key."""

from dataclasses import asdict, dataclass

from tasks.artifacts import DataRoot, Store, bottleneck_schema, describe, fingerprint
from tasks.bottleneck.backbones import Backbone
from tasks.decode.settings import DecodeSettings

#: Raised when the vectors that are written for a picture change.
CODE_VERSION = 1
ROWS_PER_GROUP = 4096


@dataclass(frozen=True)
class BottleneckSettings:
    """Everything that shapes a bottleneck.

    Args:
        backbone: Name of the backbone.
        weights_sha256: Hash of its weights.
        mean: Subtracted from each channel value (0 to 255).
        scale: Then divided by this.
        width: Numbers in a bottleneck.
        precision: What the forward pass computes in.
        views: 1 is the plain photo, 2 adds its mirror image.
        decode: How photos became pictures.
    """

    backbone: str
    weights_sha256: str
    mean: float
    scale: float
    width: int
    precision: str
    views: int
    decode: DecodeSettings

    @property
    def key(self) -> str:
        """Key of the bottleneck store."""
        return fingerprint({**asdict(self), "decode": self.decode.key, "code_version": CODE_VERSION})

    def store(self, root: DataRoot) -> Store:
        """The store of the bottlenecks made with these settings."""
        schema = describe(bottleneck_schema(self.width), "bottleneck", self.key, asdict(self))
        return Store(root.bottleneck(self.key), schema, ROWS_PER_GROUP)


def bottleneck_settings(backbone: Backbone, decode: DecodeSettings, views: int) -> BottleneckSettings:
    """Settings of a backbone's bottlenecks, in float32."""
    return BottleneckSettings(
        backbone=backbone.name,
        weights_sha256=backbone.weights_sha256,
        mean=backbone.family.mean,
        scale=backbone.family.scale,
        width=backbone.family.width,
        precision="float32",
        views=views,
        decode=decode,
    )
