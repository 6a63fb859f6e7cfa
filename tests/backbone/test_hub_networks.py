"""KerasHub's backbones: their bottlenecks are those of KerasHub's own forward pass."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.backbone.backbones import Prepared
from tasks.backbone.hub_presets import FAMILIES
from tasks.backbone.load import build_model, load_network
from tasks.backbone.prepare import prepare_backbone
from tasks.backbone.request import BackboneRequest
from tasks.bottleneck.litert_forward import LiteRTForward, int8_network
from tasks.bottleneck.openvino_forward import OpenVinoForward, openvino_network
from tasks.errors import BackboneError, SettingError
from tasks.progress import NullProgress
from tests.backbone.hub_models import MODELS, PIXELS, SIZE, own_outputs, save_preset

pytestmark = pytest.mark.slow
#: Tokens before those of the patches: a CLS token, and registers or one for distillation.
SPECIAL = {"CLIPBackbone": 1, "DINOV2Backbone": 4, "DINOV3Backbone": 4, "DeiTBackbone": 2, "ViTBackbone": 1}


def prepared(folder: Path, **wishes: Any) -> Prepared:
    return prepare_backbone(BackboneRequest(f"hub:{folder}", **wishes), folder.parent / "data", NullProgress())


def expected(name: str, outputs: list[Any]) -> list[Any]:
    """The averages that bottlenecks are made of, from KerasHub's own outputs."""
    if name == "SigLIPBackbone":
        return [outputs[0], outputs[1].mean(1)]
    (output,) = outputs
    if output.ndim == 4:
        return [output.mean((1, 2))]
    return [output[:, 0], output[:, SPECIAL[name] :].mean(1)]


@pytest.mark.parametrize("name", FAMILIES)
def test_bottlenecks_are_those_of_keras_hub_itself(tmp_path: Path, name: str) -> None:
    folder = save_preset(name, tmp_path / "preset")
    own = expected(name, own_outputs(name, folder, PIXELS))
    found = prepared(folder)
    assert (found.backbone.kind, found.backbone.size, found.backbone.scaling) == ("keras_hub", SIZE, "own")
    assert found.backbone.widths[: len(own)] == tuple(each.shape[1] for each in own)
    whole = np.concatenate(own, 1)
    network = openvino_network(found, tmp_path / "cache", NullProgress())
    vectors = OpenVinoForward(network, "float32")(PIXELS)
    assert vectors.shape == (len(PIXELS), found.backbone.width)
    np.testing.assert_allclose(vectors[:, : whole.shape[1]], whole, atol=1e-4)
    np.testing.assert_allclose(load_network(found)(PIXELS.astype(np.float32)), vectors, atol=1e-4)
    assert np.ptp(whole, axis=0).max() > 1e-3, "the pictures differ"


def test_every_class_has_a_model_that_is_tried() -> None:
    assert set(MODELS) == set(FAMILIES)


def test_other_sizes_are_interpolated_where_the_class_can(tmp_path: Path) -> None:
    folder = save_preset("DINOV2Backbone", tmp_path / "preset")
    large = PIXELS.repeat(2, axis=1).repeat(2, axis=2)
    own = expected("DINOV2Backbone", own_outputs("DINOV2Backbone", folder, large, image_shape=(32, 32, 3)))
    found = prepared(folder, size=32, layers="last")
    assert (found.backbone.size, found.backbone.layers) == (32, ("cls",))
    np.testing.assert_allclose(load_network(found)(large.astype(np.float32)), own[0], atol=1e-4)
    with pytest.raises(SettingError, match=r"of 30 pixels do not divide .* of 4 pixels\. Give --image-size 32"):
        prepared(folder, size=30)
    with pytest.raises(SettingError, match="have 4,225 patches of 4 pixels, more than"):
        prepared(folder, size=260)


def test_other_sizes_are_refused_where_the_weights_fit_one_only(tmp_path: Path) -> None:
    folder = save_preset("ViTBackbone", tmp_path / "preset")
    with pytest.raises(SettingError, match=r"--image-size is 32, .* takes 16 pixels only"):
        prepared(folder, size=32)


def test_earlier_layers_of_convolutions_are_chosen_as_for_keras_applications(tmp_path: Path) -> None:
    folder = save_preset("ResNetBackbone", tmp_path / "preset")
    assert prepared(folder).backbone.layers == ("", "stack0_block0_out", "stack1_block0_out")
    assert prepared(folder, layers="last").backbone.layers == ("",)


@pytest.mark.parametrize("name", ["DINOV2Backbone", "SigLIPBackbone"])
def test_sharded_weights_are_the_same_as_those_in_one_file(tmp_path: Path, name: str) -> None:
    one, many = (save_preset(name, tmp_path / str(sharded), sharded=sharded) for sharded in (False, True))
    assert len(list(many.glob("model_*.weights.h5"))) > 1
    first, second = (load_network(prepared(folder))(PIXELS.astype(np.float32)) for folder in (one, many))
    np.testing.assert_array_equal(first, second)


def test_scaling_of_the_preset_is_its_own_and_a_missing_one_is_asked_for(tmp_path: Path) -> None:
    folder = save_preset("ViTBackbone", tmp_path / "own", scale=1 / 127.5, offset=-1)
    bare = save_preset("ViTBackbone", tmp_path / "bare", scale=None)
    with pytest.raises(SettingError, match=r"does not say how to scale .* Give --scaling"):
        prepared(bare)
    with pytest.raises(SettingError, match=r"--scaling does not go with .* has its own scaling"):
        prepared(folder, scaling="unit")
    found = prepared(bare, scaling="symmetric")
    assert found.backbone.scaling == "symmetric"
    of_user, of_preset = (load_network(each)(PIXELS.astype(np.float32)) for each in (found, prepared(folder)))
    np.testing.assert_allclose(of_user, of_preset, atol=1e-5)


def test_photos_are_resized_as_the_preset_says(tmp_path: Path) -> None:
    folder = save_preset("ViTBackbone", tmp_path / "a", interpolation="bicubic", crop_to_aspect_ratio=False)
    backbone = prepared(folder).backbone
    assert (backbone.resampling, backbone.crop) == ("bicubic", "stretch")
    (folder / "image_converter.json").write_text('{"config": {"scale": 1.0, "interpolation": "area"}}')
    with pytest.raises(BackboneError, match=r"image_converter\.json is damaged: .*'area'"):
        prepared(folder)


def test_int8_and_bfloat16_are_near_float32(tmp_path: Path) -> None:
    found = prepared(save_preset("ViTBackbone", tmp_path / "preset"))
    exact = np.asarray(load_network(found)(PIXELS.astype(np.float32)))
    half = np.asarray(load_network(found, bfloat16=True)(PIXELS.astype(np.float32)))
    rounded = LiteRTForward(int8_network(found, found.backbone.decode("jpeg"), tmp_path / "cache", NullProgress()), 1)(
        PIXELS
    )
    for other in (half, rounded):
        cosines = (exact * other).sum(1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(other, axis=1)
        assert 0.98 < cosines.min() < 1


def test_weights_can_be_trained_further(tmp_path: Path) -> None:
    found = prepared(save_preset("DINOV2Backbone", tmp_path / "preset"), layers="last")
    model, random = (build_model(found, pretrained=own) for own in (True, False))
    assert len(model.trainable_weights) == len(random.trainable_weights) > 20
    assert not np.allclose(model(PIXELS.astype(np.float32)), random(PIXELS.astype(np.float32)))


def test_backbone_changes_with_the_preset(tmp_path: Path) -> None:
    folder = save_preset("ViTBackbone", tmp_path / "preset")
    request, found = BackboneRequest(f"hub:{folder}"), prepared(folder)
    state = request.state()
    save_preset("ViTBackbone", folder, scale=1 / 255, offset=0)
    assert (
        prepared(folder).backbone
        == replace(found.backbone, weights_sha256=prepared(folder).backbone.weights_sha256)
        != found.backbone
    )
    assert request.state() != state
    with pytest.raises(BackboneError, match="has changed since the run began"):
        load_network(found)
