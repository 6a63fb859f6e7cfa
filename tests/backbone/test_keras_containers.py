"""Files of Keras': nothing in them is run or followed, and none unfolds to far more than it is."""

import json
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]  # h5py ships no types
import numpy as np
import pytest

from tasks.backbone.keras_applications import prepare
from tasks.backbone.keras_containers import CONFIG, WEIGHTS, check_hdf5
from tasks.backbone.keras_files import read_input
from tasks.backbone.request import BackboneRequest
from tasks.errors import BackboneError
from tasks.progress import NullProgress
from tasks.runtime.tensorflow_import import keras

layers = keras.layers
KERNEL = "layers/conv2d/vars/0"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `.keras` file with a function and an operation of Keras' own among its layers."""
    photos = keras.Input((8, 8, 3))
    features = keras.ops.mean(layers.Conv2D(4, 3, activation="relu")(photos), (1, 2)) + 1.0
    path = tmp_path_factory.mktemp("keras") / "good.keras"
    keras.Model(photos, layers.Dense(3, activation="gelu")(features)).save(path)
    return path


def changed(good: Path, folder: Path, member: str, change: Callable[[bytes], bytes]) -> Path:
    """Copy a `.keras` file with one member changed, or added where the change is to nothing."""
    path = folder / "changed.keras"
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name in {*source.namelist(), member}:
            content = source.read(name) if name in source.namelist() else b""
            target.writestr(name, change(content) if name == member else content)
    return path


def with_layer(content: bytes, **settings: Any) -> bytes:
    """Change the settings of the convolution, or of its class."""
    whole = json.loads(content)
    (layer,) = [each for each in whole["config"]["layers"] if each["class_name"] == "Conv2D"]
    inner = settings.pop("config", {})
    layer.update(settings)
    layer["config"].update(inner)
    return json.dumps(whole).encode()


def with_function(content: bytes, name: str) -> bytes:
    """Let the convolution's activation be a function, as Keras writes one into a configuration."""
    module, _, function = name.rpartition(".")
    written = {"class_name": "function", "config": function, "module": module, "registered_name": function}
    return with_layer(content, config={"activation": written})


def test_functions_and_operations_of_keras_are_let_in(good: Path) -> None:
    assert read_input(good) == (8, "")


LAYERS = "TFSMLayer TorchModuleWrapper JaxLayer FlaxLayer StringLookup IntegerLookup TextVectorization FeatureSpace"
FUNCTIONS = (
    *("keras.utils.get_file", "keras.saving.load_model", "os.system", "keras.src.utils.file_utils.get_file"),
    *("keras.src.saving.keras_saveable.pickle.loads", "keras.src.deserialize_keras_object"),
)
OF_LAYER = r"has the {} layer 'conv2d(_\d+)?', which runs code or reads files"


@pytest.mark.parametrize(
    ("member", "change", "message"),
    [
        *((CONFIG, partial(with_function, name=name), f"'{name}', of which Keras makes no") for name in FUNCTIONS),
        *((CONFIG, partial(with_layer, class_name=kind), OF_LAYER.format(kind)) for kind in LAYERS.split()),
        ("../../outside", lambda _: b"x", r"holds '\.\./\.\./outside', which no \.keras file of a network"),
        ("metadata.json", lambda content: content + b" " * 10_000_000, r"bytes and unfolds to 10,\d{3},\d{3}, which"),
    ],
    ids=[*FUNCTIONS, *LAYERS.split(), "another member", "bomb"],
)
def test_archive_that_holds_more_than_a_network_is_refused_by_name(
    good: Path, tmp_path: Path, member: str, change: Callable[[bytes], bytes], message: str
) -> None:
    path = changed(good, tmp_path, member, change)
    with pytest.raises(BackboneError, match=message):
        read_input(path)


def external_link(file: Any, elsewhere: Path) -> None:
    file[KERNEL] = h5py.ExternalLink(str(elsewhere), "/values")


def soft_link(file: Any, _: Path) -> None:
    file[KERNEL] = h5py.SoftLink("/layers/conv2d/vars/1")


def external_storage(file: Any, elsewhere: Path) -> None:
    file.create_dataset(KERNEL, (3, 3, 3, 4), "f4", external=[(str(elsewhere), 0, 432)])


def virtual(file: Any, elsewhere: Path) -> None:
    layout = h5py.VirtualLayout((3, 3, 3, 4), "f4")
    layout[:] = h5py.VirtualSource(str(elsewhere), "values", (3, 3, 3, 4))
    file.create_virtual_dataset(KERNEL, layout)


def bomb(file: Any, _: Path) -> None:
    file.create_dataset(KERNEL, (1000, 1000, 1000), "f4", chunks=(1, 1000, 1000))


WAYS = [
    (external_link, "takes 'layers/conv2d/vars/0' from another place or file"),
    (soft_link, "takes 'layers/conv2d/vars/0' from another place or file"),
    (external_storage, "takes '/layers/conv2d/vars/0' from another place or file"),
    (virtual, "takes '/layers/conv2d/vars/0' from another place or file"),
    (bomb, r"unfolds to 4,000,\d{3},\d{3}"),
]


@pytest.mark.parametrize(("way", "refused"), WAYS)
def test_weights_are_all_within_their_file(
    good: Path, tmp_path: Path, way: Callable[[Any, Path], None], refused: str
) -> None:
    weights = tmp_path / "weights.h5"

    def change(content: bytes) -> bytes:
        weights.write_bytes(content)
        with h5py.File(weights, "a") as file:
            del file[KERNEL]
            way(file, tmp_path / "elsewhere.h5")
        return weights.read_bytes()

    archive = changed(good, tmp_path, WEIGHTS, change)
    with pytest.raises(BackboneError, match=refused):
        read_input(archive)
    with pytest.raises(BackboneError, match=refused):
        check_hdf5(weights, weights)


def test_hard_links_that_go_round_in_circles_end(tmp_path: Path) -> None:
    path = tmp_path / "mine.h5"
    with h5py.File(path, "w") as file:
        file["layers/one"] = np.zeros(4, np.float32)
        file["layers/round"] = file["layers"]
    check_hdf5(path, path)


@pytest.mark.parametrize("name", ["mine.weights.h5", "mine.h5"])
def test_weights_for_a_model_of_keras_applications_are_looked_at_too(tmp_path: Path, name: str) -> None:
    with h5py.File(tmp_path / name, "w") as file:
        external_link(file, tmp_path / "elsewhere.h5")
    with pytest.raises(BackboneError, match="from another place or file"):
        prepare(BackboneRequest("keras:MobileNet", str(tmp_path / name), 32), tmp_path / "folder", NullProgress())
