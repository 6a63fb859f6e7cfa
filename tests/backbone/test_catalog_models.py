"""The catalog's backbones: their description, their weights, and parameters that do not go with them."""

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tasks.backbone.kinds.efficientnet_lite import bottleneck_layers
from tasks.backbone.load import build_model, load_network
from tasks.backbone.prepare import prepare_backbone
from tasks.backbone.request import BackboneRequest
from tasks.backbone.weights import packaged_weights
from tasks.catalog import find_backbone
from tasks.errors import BackboneError, DownloadError, SettingError
from tasks.keys import file_sha256
from tests.backbone.inception import GRAPH_MEMBER, build_graph, zip_graph
from tests.support.progress import Tally

LITE0 = BackboneRequest("efficientnet_lite0")
OLD = BackboneRequest("inception_2015")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small stand-in of inception_dec_2015.zip."""
    return zip_graph(tmp_path_factory.mktemp("inception"), build_graph(widths=0.02))


def test_efficientnet_lite_is_described_by_its_entry(tmp_path: Path) -> None:
    prepared = prepare_backbone(LITE0, tmp_path, Tally())
    backbone, entry = prepared.backbone, find_backbone("efficientnet_lite0")
    assert (backbone.name, backbone.size) == ("efficientnet_lite0", 288)
    assert tuple(zip(backbone.layers, backbone.widths, strict=True)) == bottleneck_layers(0)
    assert (backbone.scaling, backbone.resampling, backbone.crop) == ("lite", "bicubic", "centre")
    assert (backbone.weights_sha256, prepared.weights) == (entry.sha256, packaged_weights(entry))
    assert list(tmp_path.iterdir()) == []


def test_last_layer_alone_is_the_pooled_one(tmp_path: Path, archive: Path) -> None:
    lite, old = (
        prepare_backbone(replace(request, layers="last"), tmp_path, Tally()).backbone
        for request in (LITE0, replace(OLD, weights=str(archive)))
    )
    assert (lite.layers, lite.widths) == (("bottleneck",), (1280,))
    assert old.layers == ("pool_3:0",)


def test_size_given_replaces_the_entry_s_within_what_the_network_can_take(tmp_path: Path) -> None:
    assert prepare_backbone(replace(LITE0, size=32), tmp_path, Tally()).backbone.size == 32
    with pytest.raises(SettingError, match="--image-size is 31, efficientnet_lite0 needs at least 32"):
        prepare_backbone(replace(LITE0, size=31), tmp_path, Tally())
    with pytest.raises(SettingError, match="--image-size is 128, inception_2015 takes 299 pixels only"):
        prepare_backbone(replace(OLD, size=128), tmp_path, Tally())


@pytest.mark.parametrize("name", ["efficientnet_lite0", "inception_2015", "keras:MobileNet"])
@pytest.mark.parametrize("change", [{"scaling": "unit"}, {"input_tensor": "x:0"}, {"bottleneck_tensor": "y:0"}])
def test_parameters_for_models_of_one_s_own_are_refused(tmp_path: Path, name: str, change: dict[str, str]) -> None:
    with pytest.raises(SettingError, match=r"are for models of your own; .* Leave them out"):
        prepare_backbone(replace(BackboneRequest(name), **change), tmp_path, Tally())  # type: ignore[arg-type]


def test_weights_of_another_network_or_that_changed_since_are_an_error_when_it_is_built(tmp_path: Path) -> None:
    mine = tmp_path / "mine.pth"
    mine.write_bytes(packaged_weights(find_backbone("efficientnet_lite1")).read_bytes())
    prepared = prepare_backbone(replace(LITE0, weights=str(mine), size=32), tmp_path, Tally())
    assert prepared.backbone.weights_sha256 == file_sha256(mine)
    with pytest.raises(BackboneError, match="do not fit efficientnet_lite0"):
        load_network(prepared)
    mine.write_bytes(b"other")
    with pytest.raises(BackboneError, match=r"mine\.pth has changed since the run began"):
        load_network(prepared)


def test_random_weights_differ_from_the_pretrained_ones_and_give_the_same_shape(tmp_path: Path) -> None:
    prepared = prepare_backbone(replace(LITE0, size=32), tmp_path, Tally())
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    trained, random = (build_model(prepared, pretrained=own)(pixels) for own in (True, False))
    assert trained.shape == random.shape == (2, prepared.backbone.width)
    assert not np.allclose(trained, random)


def test_graph_of_2015_is_found_in_its_archive_and_measured(tmp_path: Path, archive: Path) -> None:
    prepared = prepare_backbone(replace(OLD, weights=str(archive)), tmp_path, Tally())
    backbone = prepared.backbone
    assert prepared.weights.name == GRAPH_MEMBER
    assert tmp_path in prepared.weights.parents
    members = {"LICENSE", "imagenet_comp_graph_label_strings.txt", GRAPH_MEMBER}
    assert {path.name for path in prepared.weights.parent.iterdir()} == members
    assert (backbone.size, backbone.crop, backbone.scaling) == (299, "stretch", "inception")
    assert backbone.layers == ("pool_3:0", "mixed_8/join:0", "mixed_9/join:0")
    assert backbone.widths[0] == backbone.widths[2] > backbone.widths[1] > 8
    assert backbone.weights_sha256 == file_sha256(prepared.weights)
    with pytest.raises(SettingError, match="constants: it cannot be trained further"):
        build_model(prepared)
    alone = prepare_backbone(replace(OLD, weights=str(prepared.weights)), tmp_path, Tally())
    assert alone == prepared, "the graph is taken as it is where it is given without an archive"


def test_archive_that_is_damaged_or_lacks_the_graph_is_an_error_that_names_it(tmp_path: Path) -> None:
    other, torn = tmp_path / "other.zip", tmp_path / "torn.zip"
    with zipfile.ZipFile(other, "w") as opened:
        opened.writestr("LICENSE", "Apache")
    torn.write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(BackboneError, match=r"other\.zip holds no tensorflow_inception_graph\.pb"):
        prepare_backbone(replace(OLD, weights=str(other)), tmp_path, Tally())
    with pytest.raises(DownloadError, match=r"torn\.zip is damaged"):
        prepare_backbone(replace(OLD, weights=str(torn)), tmp_path, Tally())


@pytest.mark.parametrize("name", ["resnet", "", "no/such/model.keras", "~nobody-of-this-name/x", "x" * 300])
def test_unknown_backbone_lists_what_can_be_given(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingError, match=r"no backbone .*efficientnet_lite0, .*keras:<Name>.*SavedModel"):
        prepare_backbone(BackboneRequest(name), tmp_path, Tally())
