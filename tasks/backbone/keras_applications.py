"""The models of keras.applications as backbones, each with its own `preprocess_input` and input size.

Keras fetches their ImageNet weights, which are then kept; or the user gives a file of weights.
"""

import io
import math
import socket
from collections.abc import Callable
from contextlib import redirect_stdout
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from tasks.backbone.backbones import Backbone, Prepared
from tasks.backbone.keras_containers import check_archive, check_hdf5
from tasks.backbone.layers import choose_earlier_layers, layer_averages, stable_names
from tasks.backbone.model_file_errors import UNREADABLE, first_line, strictly
from tasks.backbone.request import KERAS_PREFIX, LAST, BackboneRequest
from tasks.backbone.scaling import OWN
from tasks.backbone.weights import given_weights
from tasks.errors import BackboneError, SettingError
from tasks.keys import file_sha256
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.runtime.tensorflow_import import keras
from tasks.storage.files import local, lock_folder, publish_folder

LIST_OF_MODELS = "https://keras.io/api/applications/"
#: Size of a model that leaves it open, as MobileNetV3 does: that of its ImageNet weights, by its docstring.
OPEN_SIZE = 224
#: Suffixes by which Keras knows files of weights.
SUFFIXES = (".weights.h5", ".h5", ".keras")
#: Seconds without a byte until a download fails; Keras itself waits for ever.
SOCKET_TIMEOUT = 60.0

#: Standard deviation of ImageNet's red, green and blue, of pixels from 0 to 1.
_DEVIATION = (0.229, 0.224, 0.225)


def model_names() -> list[str]:
    """Names of all models of keras.applications, sorted."""
    return sorted(name for name, value in vars(keras.applications).items() if name[0].isupper() and callable(value))


def prepare(request: BackboneRequest, folder: AnyPath, progress: Progress) -> Prepared:
    """Find or fetch the weights of a model, check that they fit, and describe it; see `BackboneKind.prepare`."""
    name = _known(request.backbone)
    size = request.size or default_size(name)
    network = _sized(request.backbone, name, size)
    if request.weights:
        weights = given_weights(request.weights, folder, progress)
    else:
        weights = _imagenet_weights(name, folder, progress)
    here = local(weights)
    _load_weights(network, name, here)
    width = int(network.output_shape[-1])
    layers = [("", width), *([] if request.layers == LAST else choose_earlier_layers(network, width))]
    backbone = Backbone(
        name=request.backbone,
        kind="keras_application",
        model=name,
        weights_sha256=file_sha256(here),
        size=size,
        layers=tuple(layer for layer, _ in layers),
        widths=tuple(width for _, width in layers),
        scaling=OWN,
    )
    # Keras keeps the model, which is no longer needed: up to 1.5 GB.
    del network
    keras.utils.clear_session(free_memory=True)
    return Prepared(backbone, weights)


def default_size(name: str) -> int:
    """Return the input size of a model of keras.applications in pixels: that of its ImageNet classes."""
    size = _constructor(name)(weights=None).input_shape[1]
    keras.utils.clear_session(free_memory=True)
    return int(size or OPEN_SIZE)


def build(backbone: Backbone, weights: Path | None) -> "keras.Model":
    """Build the model with its `preprocess_input`, without its classes; see `TrainableKind.build_layers`.

    Weights of None are random.
    """
    network = _network(backbone.model, backbone.size)
    if weights is not None:
        _load_weights(network, backbone.model, weights)
    named = stable_names(network)
    earlier = [named[name].output for name in backbone.layers[1:]]
    pixels = keras.Input((backbone.size, backbone.size, 3), name="pixels")
    of_layers = keras.Model(network.input, [network.output, *earlier], name=network.name)
    return layer_averages(pixels, _preprocess(backbone.model)(pixels), of_layers)


def _known(backbone: str) -> str:
    name = backbone.removeprefix(KERAS_PREFIX)
    names = model_names()
    if name in names:
        return name
    by_lower = {known.lower(): known for known in names}
    near = ", ".join(f"{KERAS_PREFIX}{by_lower[match]}" for match in get_close_matches(name.lower(), by_lower, n=4))
    raise SettingError(
        f"keras.applications has no model {name!r}{f'; similar names are {near}' if near else ''}. Give "
        f"{KERAS_PREFIX}<Name> with an exact name from the list at {LIST_OF_MODELS}."
    )


def _sized(backbone: str, name: str, size: int) -> "keras.Model":
    try:
        return _network(name, size)
    except ValueError as exc:
        raise SettingError(
            f"--image-size {size} does not go with {backbone} ({first_line(exc)}). Give another one, or leave it out "
            "for the model's own."
        ) from exc


def _constructor(name: str) -> Callable[..., Any]:
    return getattr(keras.applications, name)  # type: ignore[no-any-return]  # Keras ships no types


def _preprocess(name: str) -> Callable[[Any], Any]:
    module = _constructor(name).__module__.rpartition(".")[2]
    return getattr(keras.applications, module).preprocess_input  # type: ignore[no-any-return]  # as above


def _network(name: str, size: int) -> "keras.Model":
    """Build a model as Keras does for its ImageNet weights, but with random ones: scaled pixels to bottlenecks."""
    network = _constructor(name)(include_top=False, weights=None, input_shape=(size, size, 3), pooling="avg")
    return _divide_deviation(network) if _constructor(name).__module__.endswith(".efficientnet") else network


def _divide_deviation(network: "keras.Model") -> "keras.Model":
    """Add the layer that Keras builds into EfficientNet for `weights="imagenet"` only, and that the weights need.

    They hold ImageNet's deviation where `Normalization` expects its square, so its result must be divided by the
    deviation's square root: https://github.com/tensorflow/tensorflow/issues/49930. EfficientNet-V2 needs no such layer.
    """

    def call(layer: Any, *inputs: Any, **options: Any) -> Any:
        outputs = layer(*inputs, **options)
        if not isinstance(layer, keras.layers.Normalization):
            return outputs
        return keras.layers.Rescaling([1 / math.sqrt(deviation) for deviation in _DEVIATION])(outputs)

    # Cloned layers, so that the output of each includes the new layer.
    return keras.models.clone_model(network, call_function=call)


def _load_weights(network: "keras.Model", name: str, file: Path) -> None:
    """Load the weights of a file of keras.applications, with or without classes, into a model of `_network`."""
    if not file.name.endswith(SUFFIXES):
        raise BackboneError(
            f"{file} is no file of weights that Keras knows: its name ends in none of {', '.join(SUFFIXES)}. Give "
            f"--weights a file of keras.applications.{name}."
        )
    try:
        if file.suffix == ".keras":
            check_archive(file)
        else:
            check_hdf5(file, file)
        _load_checked(network, name, file)
    except UNREADABLE as exc:
        raise BackboneError(
            f"The weights {file} are damaged, or are not those of keras.applications.{name} ({first_line(exc)}). "
            "Give --weights a file of that very model; one that was fetched here is fetched again if you delete it."
        ) from exc


def _load_checked(network: "keras.Model", name: str, file: Path) -> None:
    try:
        with strictly():
            network.load_weights(file)
    except UNREADABLE:
        # Keras 3's formats find each layer by its path. The old one counts the layers, and classes are one more.
        if file.name.endswith((".weights.h5", ".keras")) or not _load_below_classes(network, name, file):
            raise


def _load_below_classes(network: "keras.Model", name: str, file: Path) -> bool:
    """Copy the weights below the classes from a file with classes; return whether it is one."""
    whole = _constructor(name)(weights=None)
    try:
        whole.load_weights(file)
    except UNREADABLE:
        return False
    # In the order of layers: those of the classes come last, and are not copied.
    for target, loaded in zip(network.weights, whole.weights, strict=False):
        target.assign(loaded)
    return True


def _imagenet_weights(name: str, folder: AnyPath, progress: Progress) -> AnyPath:
    """Find the kept ImageNet weights of the model's own size, or fetch them through Keras."""
    file = folder / "imagenet" / f"{name}.weights.h5"
    with lock_folder(folder):
        if not file.is_file():
            progress.tell(f"Fetching the ImageNet weights of {KERAS_PREFIX}{name} through Keras")
            network = _fetched(name)
            with publish_folder(file.parent, progress) as temporary:
                network.save_weights(temporary / file.name)
    return file


def _fetched(name: str) -> "keras.Model":
    # Of the model's own size, whatever --image-size is: MobileNet has other weights for smaller sizes, and layers of
    # a NASNetLarge of any other size do not fit its weights.
    shape = (default_size(name),) * 2 + (3,)
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SOCKET_TIMEOUT)
    try:
        # Keras draws a progress bar on standard output: thousands of characters in a log.
        with redirect_stdout(io.StringIO()):
            return _constructor(name)(include_top=False, input_shape=shape, pooling="avg", weights="imagenet")
    except Exception as exc:  # Keras raises no narrower one
        raise BackboneError(
            f"Keras could not get the ImageNet weights of {KERAS_PREFIX}{name} ({first_line(exc)}). If this machine is "
            f"offline, make the file on one that is not, with keras.applications.{name}()"
            f".save_weights('{name}.weights.h5'), and give it as --weights; or take --backbone efficientnet_lite0, "
            "whose weights are installed."
        ) from exc
    finally:
        socket.setdefaulttimeout(timeout)
