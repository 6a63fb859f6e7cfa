"""The parameters that choose the pretrained network, of every task that a person starts."""

from typing import cast

import luigi

from pipeline.run_parameters import RunParameters
from tasks.backbone.request import AUTO, LAST, BackboneRequest
from tasks.catalog import split_backbones
from tasks.decode.settings import Encoding
from tasks.errors import SettingError
from tasks.parameters import ChoiceParameter, NumberParameter

#: Parameters that describe one backbone, and so do not go with several.
_OF_ONE_BACKBONE = ("weights", "image_size", "scaling", "input_tensor", "bottleneck_tensor")


class BackboneParameters(RunParameters):
    """The backbone of a run, and how photos are stored for it; `--help` lists these after the run's."""

    backbone: luigi.Parameter[str] = luigi.Parameter(
        default="efficientnet_lite0",
        description="Pretrained network: a name in the catalog, keras:<Name> for a model of keras.applications, "
        "hub:<preset or folder> for a backbone of KerasHub, or the path of a SavedModel, a .keras or .onnx file, or a "
        "frozen graph (.pb). Join several with + to concatenate their bottlenecks.",
    )
    weights: luigi.Parameter[str] = luigi.Parameter(
        default="", description="File or URL of weights in place of the backbone's own."
    )
    image_size: NumberParameter[int] = NumberParameter(
        int, 0, 4096, default=0, description="Height and width of the input in pixels; 0 is the backbone's default."
    )
    image_encoding: ChoiceParameter = ChoiceParameter(
        "jpeg", "png", default="jpeg", description="Format in which decoded photos are stored."
    )
    scaling: ChoiceParameter = ChoiceParameter(
        AUTO,
        "raw",
        "unit",
        "symmetric",
        "inception",
        "torch",
        "clip",
        "caffe",
        default=AUTO,
        description="Pixel scaling of a model of your own: raw is 0 to 255, unit 0 to 1, symmetric -1 to 1, inception "
        "(x - 128) / 128, torch and caffe are Keras' modes of these names, clip is that of OpenAI's CLIP; auto is "
        "the backbone's own scaling.",
    )
    input_tensor: luigi.Parameter[str] = luigi.Parameter(
        default="", description="Input tensor of a frozen graph of your own; it takes scaled pixels."
    )
    bottleneck_tensor: luigi.Parameter[str] = luigi.Parameter(
        default="",
        description="Tensor, output or layer of a model of your own that is the bottleneck; separate several with "
        "commas.",
    )
    layers: ChoiceParameter = ChoiceParameter(
        AUTO,
        LAST,
        default=AUTO,
        description="Layers that make up a bottleneck: auto is the last layer and the earlier ones that the backbone "
        "names, last is the last layer alone.",
    )

    def check_backbone_parameters(self) -> None:
        """Check the parameters of several backbones.

        Raises:
            SettingError: A backbone is named twice or has no name, or a parameter describes one backbone alone.
        """
        names = self.backbones
        if len(names) == 1:
            return
        if not all(names):
            raise SettingError(f"--backbone is {self.backbone!r}; it takes backbones with one + between them.")
        twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
        if twice is not None:
            raise SettingError(f"--backbone names {twice} twice, which tells a head nothing new. Name it once.")
        given = next((name for name in _OF_ONE_BACKBONE if getattr(self, name) not in ("", 0, AUTO)), None)
        if given is not None:
            option = "--" + given.replace("_", "-")
            raise SettingError(
                f"{option} describes one backbone, and --backbone names {len(names)}. Leave {option} out, or name one "
                "backbone."
            )

    @property
    def backbones(self) -> tuple[str, ...]:
        """The names of the backbones."""
        return split_backbones(self.backbone)

    def backbone_requests(self) -> tuple[BackboneRequest, ...]:
        """The backbones that the parameters ask for."""
        return tuple(
            BackboneRequest(
                backbone=backbone,
                weights=self.weights,
                size=self.image_size,
                scaling=self.scaling,
                input_tensor=self.input_tensor,
                bottleneck_tensor=self.bottleneck_tensor,
                layers=self.layers,
            )
            for backbone in self.backbones
        )

    @property
    def encoding(self) -> Encoding:
        """The encoding that decoded photos are stored in."""
        return cast("Encoding", self.image_encoding)  # ChoiceParameter takes no other value
