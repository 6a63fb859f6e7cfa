"""A user's own model as a backbone, whatever its kind: its bottlenecks, and files that are none."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.backbone.weights import weights_sha256
from tasks.errors import BackboneError, SettingError
from tasks.runtime.tensorflow_import import tf
from tasks.storage.files import local
from tests.backbone.networks import (
    SIZE,
    as_graph,
    assert_makes,
    classifier,
    export,
    export_function,
    features,
    freeze_model,
    headless,
    own,
    save,
    scaled,
)

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["model.h5", "photo.jpg", "folder"])
def test_other_files_and_folders_are_an_error_that_lists_what_is_taken(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if path.suffix:
        path.touch()
    else:
        path.mkdir()
    with pytest.raises(SettingError, match=r"can be a backbone\. Give the folder of a SavedModel.*\.keras or \.onnx"):
        own(path)


@pytest.mark.parametrize(
    ("write", "kind", "wishes"),
    [
        (save, "keras_file", {}),
        (export, "saved_model", {}),
        (as_graph, "frozen_graph", {"input_tensor": "pixels:0", "bottleneck_tensor": "Identity"}),
    ],
)
@pytest.mark.parametrize("layer", ["features", "map"])
def test_every_kind_of_model_makes_its_own_bottlenecks_and_averages_feature_maps(
    tmp_path: Path, write: Callable[[Any, Path], Path], kind: str, wishes: dict[str, str], layer: str
) -> None:
    model = classifier()
    prepared = own(write(headless(model, layer), tmp_path), **wishes)
    backbone = prepared.backbone
    assert (backbone.name, backbone.kind, backbone.size) == ("mine", kind, SIZE)
    assert (backbone.scaling, backbone.resampling, backbone.crop) == ("symmetric", "bilinear", "centre")
    assert backbone.weights_sha256 == weights_sha256(local(prepared.weights))
    assert_makes(prepared, features(model, scaled()))


def test_every_kind_of_model_gives_the_averages_of_several_layers_side_by_side(tmp_path: Path) -> None:
    model = classifier()
    several = headless(model, ("features", "normed", "map"))
    graph, outputs = freeze_model(several, tmp_path)  # in the order of their names
    maps = features(model, scaled(), "normed")
    side_by_side = np.concatenate([features(model, scaled()), maps.mean((1, 2))], axis=1)
    for prepared in (
        whole := own(save(model, tmp_path), bottleneck_tensor="features,normed"),
        own(export(several, tmp_path), bottleneck_tensor="features, normed"),
        own(graph, input_tensor="pixels:0", bottleneck_tensor=f"{outputs[0]},{outputs[2]}"),
    ):
        assert prepared.backbone.widths == (6, 8)
        assert_makes(prepared, side_by_side)
    last = own(local(whole.weights), bottleneck_tensor="features,normed", layers="last")
    assert last.backbone == whole.backbone.last_layer


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 255
    file.write_bytes(data)


VARIABLES = "variables/variables.data-00000-of-00001"


@pytest.mark.parametrize(
    ("write", "harm"),
    [
        (save, cut_short),
        (save, flip),
        (export, lambda folder: cut_short(folder / VARIABLES)),
        (export, lambda folder: shutil.rmtree(folder / "variables")),
        (as_graph, cut_short),
    ],
)
def test_damaged_model_is_an_error_that_names_it(
    tmp_path: Path, write: Callable[[Any, Path], Path], harm: Callable[[Path], object]
) -> None:
    path = write(classifier(), tmp_path)
    harm(path)
    with pytest.raises(BackboneError, match=rf"{path}.* damaged"):
        own(path, input_tensor="pixels:0" if path.suffix == ".pb" else "", bottleneck_tensor="features")


@pytest.mark.parametrize(
    ("wishes", "error", "message"),
    [
        ({}, SettingError, r"placeholders: pixels:0; its last tensors: .*, \S+\.$"),
        ({"bottleneck_tensor": "pixels:0,Identity"}, BackboneError, "pixels:0 does not depend on pixels:0"),
        ({"bottleneck_tensor": "Identity,nowhere:0"}, BackboneError, "no tensor 'nowhere:0'"),
        ({"bottleneck_tensor": "Identity,Identity:0"}, SettingError, "twice. Name it once"),
    ],
)
def test_tensors_of_a_graph_that_are_not_named_or_make_no_sense_are_refused(
    tmp_path: Path, wishes: dict[str, str], error: type[Exception], message: str
) -> None:
    named = {"input_tensor": "pixels:0", **wishes} if wishes else {}
    with pytest.raises(error, match=message):
        own(as_graph(headless(classifier()), tmp_path), **named)


def test_saved_model_s_file_given_for_its_folder_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match="of a SavedModel, give the folder"):
        own(export_function(tf.identity, tmp_path) / "saved_model.pb")
