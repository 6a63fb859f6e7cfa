"""Backbones: frozen, pretrained networks, each described by one value."""

from dataclasses import dataclass, replace
from typing import Literal, get_args

from tasks.decode.settings import Crop, DecodeSettings, Encoding, Resampling
from tasks.errors import SettingError
from tasks.paths import AnyPath

Kind = Literal["efficientnet_lite", "frozen_graph", "keras_application", "keras_file", "saved_model"]
KINDS: tuple[str, ...] = get_args(Kind)
#: Kinds that are built as Keras models; the weights of the others are constants of a graph.
TRAINABLE: tuple[Kind, ...] = ("efficientnet_lite", "keras_application", "keras_file")


@dataclass(frozen=True)
class Backbone:
    """A backbone: everything that shapes its bottlenecks. Where its weights lie is no part of it.

    Args:
        name: What people call it.
        kind: Which module builds it.
        model: Which of that kind: the variant of EfficientNet-Lite, the name in keras.applications; else empty.
        weights_sha256: Hash of its weights.
        size: Height and width of its input in pixels.
        layers: The layers, outputs or tensors whose averages over the picture make its bottleneck: the last one first,
            which is the classic bottleneck, then earlier ones. An empty name is the kind's own choice.
        widths: Numbers in the average of each of these layers.
        scaling: How its pixels are scaled: one of `tasks.backbone.scaling`.
        resampling: How its photos are resized.
        crop: What of a photo it sees.
        input_tensor: Of a graph: the tensor that takes the scaled pixels.
    """

    name: str
    kind: Kind
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
        """Numbers in its bottleneck: those of all layers."""
        return sum(self.widths)

    @property
    def last_layer(self) -> "Backbone":
        """The same backbone with the classic bottleneck alone."""
        return replace(self, layers=self.layers[:1], widths=self.widths[:1])

    def decode(self, encoding: Encoding) -> DecodeSettings:
        """How photos become pictures for it."""
        return DecodeSettings(self.size, self.size, self.resampling, encoding, self.crop)

    def check_trainable(self) -> None:
        """Check that its weights can be trained further.

        Raises:
            SettingError: They are constants.
        """
        if self.kind not in TRAINABLE:
            raise SettingError(
                f"{self.name} is a graph whose weights are constants: it cannot be trained further. Train the head "
                "alone, or give an efficientnet_lite, a keras:<Name> or a .keras file as --backbone."
            )


@dataclass(frozen=True)
class Prepared:
    """A backbone with its weights at hand.

    Args:
        backbone: The backbone.
        weights: Where its weights are: a file, or the folder of a SavedModel.
    """

    backbone: Backbone
    weights: AnyPath
