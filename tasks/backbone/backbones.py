"""Backbones: frozen, pretrained networks, each described by one value."""

from dataclasses import dataclass, replace

from tasks.decode.settings import Crop, DecodeSettings, Encoding, Resampling
from tasks.paths import AnyPath


@dataclass(frozen=True)
class Backbone:
    """A backbone: everything that shapes its bottlenecks, but not where its weights are."""

    name: str  #: Name for people.
    kind: str  #: Name of its kind in `tasks.backbone.kinds`.
    model: str  #: Model of that kind: the variant of EfficientNet-Lite, the name in keras.applications; else empty.
    weights_sha256: str  #: Hash of its weights.
    size: int  #: Height and width of its input in pixels.
    #: Layers, outputs or tensors whose averages over the picture make its bottleneck: first the last one, which is the
    #: classic bottleneck, then earlier ones. An empty name leaves the choice to the kind.
    layers: tuple[str, ...]
    widths: tuple[int, ...]  #: Length of the average of each layer.
    scaling: str  #: Name of a scaling of pixels in `tasks.backbone.scaling`.
    resampling: Resampling = "bilinear"  #: Method that resizes its photos.
    crop: Crop = "centre"  #: Part of a photo that it sees.
    input_tensor: str = ""  #: Tensor of a graph that takes the scaled pixels; else empty.

    @property
    def width(self) -> int:
        """Length of its bottleneck: the widths of all layers together."""
        return sum(self.widths)

    @property
    def last_layer(self) -> "Backbone":
        """The same backbone with only the classic bottleneck."""
        return replace(self, layers=self.layers[:1], widths=self.widths[:1])

    def decode(self, encoding: Encoding) -> DecodeSettings:
        """Settings that decode photos for it."""
        return DecodeSettings(self.size, self.size, self.resampling, encoding, self.crop)


@dataclass(frozen=True)
class Prepared:
    """A backbone with its weights at hand: a file, or the folder of a SavedModel."""

    backbone: Backbone
    weights: AnyPath
