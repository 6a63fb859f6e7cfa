"""The interface of a kind of backbone.

The modules of kinds import TensorFlow inside functions only: every run reads the attributes of a kind, also a run with
nothing to do.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, cast

from tasks.backbone.backbones import Backbone, Prepared
from tasks.backbone.request import LAST, BackboneRequest
from tasks.catalog import USER_CATALOG, BackboneEntry
from tasks.decode.settings import Crop, Resampling
from tasks.errors import SettingError
from tasks.keys import file_sha256
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.storage.files import local

LayerNetwork = Callable[[Any], tuple[Any, ...]]


class InputFormat(NamedTuple):
    """The input of a user's model."""

    size: int | None  #: Height and width in pixels; None where the model leaves them open.
    scaling: str = ""  #: Scaling of pixels that the model states; empty if it states none.


class BackboneKind(ABC):
    """A kind of backbone, whose models are named or in the catalog (`prepare`), or a user's own (`UserModelKind`).

    Attributes:
        name: Name in settings and in the catalog.
        prefix: Start of its models' names in `--backbone`, as in `keras:<Name>`; empty for no such names.
        has_tensors: Whether the user names the input and the bottleneck of a model as tensors of a graph.
        takes_scaling: Whether a model that is named with `prefix` or in the catalog may need `--scaling`.
        bfloat16_on_gpu: Whether a GPU computes it in bfloat16, because its layers are built here.
        int8_by_default: Whether its last layer is computed in int8 on a processor without bfloat16.
        in_tensorflow: Whether TensorFlow computes it; OpenVINO computes it on a processor otherwise.
        relu6: Whether ReLU6 bounds the activations of its layers, so that 8 bits store them.
    """

    name: ClassVar[str]
    prefix: ClassVar[str] = ""
    has_tensors: ClassVar[bool] = False
    takes_scaling: ClassVar[bool] = False
    bfloat16_on_gpu: ClassVar[bool] = False
    int8_by_default: ClassVar[bool] = False
    in_tensorflow: ClassVar[bool] = True
    relu6: ClassVar[bool] = False

    def prepare(self, request: BackboneRequest, folder: AnyPath, progress: Progress) -> Prepared:
        """Find the weights of a model that is named with `prefix` or in the catalog, or fetch them; and describe it.

        Raises:
            SettingError: There is no such model, or a parameter does not go with it.
            BackboneError: Its weights are missing, damaged, or of another network.
            DownloadError: They could not be fetched, or are not the file of the first time.
        """
        raise SettingError(
            f"The catalog gives {request.backbone} the kind {self.name!r}, whose models are in no catalog. Correct it "
            f"in {USER_CATALOG}."
        )

    def measure_width(self, prepared: Prepared) -> Prepared:
        """Measure the widths of a backbone's layers by running it on two pictures; see `tasks.backbone.load`."""
        from tasks.backbone.load import measure_width

        return measure_width(prepared)

    @abstractmethod
    def load_layers(self, backbone: Backbone, weights: Path, *, bfloat16: bool) -> LayerNetwork:
        """Load a model, whose layers compute in bfloat16 if they can and shall.

        Returns:
            A function for inside a `tf.function`: pixels, float32 [N, size, size, 3], RGB, 0 to 255, to the averages of
            each layer, float32 [N, D].

        Raises:
            BackboneError: The weights are damaged, or of another network.
        """

    def build_graph(self, backbone: Backbone, weights: Path) -> Any:
        """Build a model as OpenVINO's graph without TensorFlow.

        Returns:
            The `ov.Model` from pixels, uint8 [1, size, size, 3], RGB, to the averages of all layers, float32 [1, D];
            None for a kind whose models only TensorFlow loads.

        Raises:
            BackboneError: The weights are damaged, or of another network.
        """
        return None


class UserModelKind(BackboneKind):
    """A kind of backbone that users bring as files or folders of their own."""

    @abstractmethod
    def is_model(self, path: Path) -> bool:
        """Tell whether a user's file or folder is a model of this kind."""

    @abstractmethod
    def read_input(self, request: BackboneRequest, path: Path) -> InputFormat:
        """Read the format of the input of a user's model.

        Raises:
            SettingError: The request lacks a parameter that the model needs.
            BackboneError: The model cannot be loaded, or takes something other than photos.
        """


class TrainableKind(BackboneKind):
    """A kind of backbone that is built as a Keras model, so that its weights can be trained further."""

    @abstractmethod
    def build_layers(self, backbone: Backbone, weights: Path, *, pretrained: bool) -> Any:
        """Build the Keras model, with these weights or, as before any training, with random ones.

        Returns:
            A `keras.Model` from pixels, float32 [N, size, size, 3], RGB, 0 to 255, to float32 [N, D] of each layer. All
            its weights are trainable.

        Raises:
            BackboneError: The weights are damaged, or of another network.
        """

    def load_layers(self, backbone: Backbone, weights: Path, *, bfloat16: bool) -> LayerNetwork:
        from tasks.runtime.tensorflow_import import keras

        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy("mixed_bfloat16" if bfloat16 else "float32")
        try:
            model = self.build_layers(backbone, weights, pretrained=True)
        finally:
            keras.config.set_dtype_policy(before)
        return lambda pixels: tuple(keras.tree.flatten(model(pixels, training=False)))


def describe_entry(
    request: BackboneRequest, entry: BackboneEntry, weights: AnyPath, layers: tuple[tuple[str, int], ...]
) -> Prepared:
    """Describe a backbone of the catalog, with the names and widths of its layers, the last layer first."""
    backbone = Backbone(
        name=entry.name,
        kind=entry.kind,
        model=entry.model,
        weights_sha256=file_sha256(local(weights)),
        size=request.size or entry.size,
        layers=tuple(name for name, _ in layers),
        widths=tuple(width for _, width in layers),
        scaling=entry.scaling,
        resampling=cast("Resampling", entry.resampling),
        crop=cast("Crop", entry.crop),
        input_tensor=entry.input_tensor,
    )
    return Prepared(backbone.last_layer if request.layers == LAST else backbone, weights)
