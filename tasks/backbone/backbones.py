"""Backbones: frozen, pretrained networks, each described by one value."""

from dataclasses import dataclass, replace

from tasks.decode.settings import Crop, DecodeSettings, Encoding, Resampling
from tasks.paths import AnyPath


@dataclass(frozen=True)
class Backbone:
    """A backbone: everything that shapes its bottlenecks, but not where its weights are.

    Args:
        name: Name for people.
        kind: Name of its kind in `tasks.backbone.kinds`.
        model: Model of that kind: the variant of EfficientNet-Lite, the name in keras.applications; else empty.
        weights_sha256: Hash of its weights.
        size: Height and width of its input in pixels.
        layers: Layers, outputs or tensors whose averages over the picture make its bottleneck: first the last one,
            which is the classic bottleneck, then earlier ones. An empty name leaves the choice to the kind.
        widths: Length of the average of each layer.
        scaling: Name of a scaling of pixels in `tasks.backbone.scaling`.
        resampling: Method that resizes its photos.
        crop: Part of a photo that it sees.
        input_tensor: Tensor of a graph that takes the scaled pixels; else empty.
    """

    name: str
    kind: str
    model: str
    weights_sha256: str
    size: int
    layers: tuple[str, ...]
    widths: tuple[int, ...]
    scaling: str
    resampling: Resampling = "bilinear"
    crop: Crop = "centre"
    input_tensor: str = ""

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
