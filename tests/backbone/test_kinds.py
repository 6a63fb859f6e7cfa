"""The registry of kinds: a new kind needs a class and an entry, and no kind falls through to another's code."""

from pathlib import Path

import numpy as np
import pytest

from tasks import catalog
from tasks.backbone import kinds
from tasks.backbone.backbones import Backbone
from tasks.backbone.kinds import KINDS, check_trainable
from tasks.backbone.kinds.base import InputFormat, LayerNetwork, UserModelKind
from tasks.backbone.load import load_network
from tasks.backbone.prepare import prepare_backbone
from tasks.backbone.request import BackboneRequest
from tasks.errors import SettingError
from tasks.progress import NullProgress
from tasks.runtime.tensorflow_import import tf


class Toy(UserModelKind):
    """A `.npy` file: a matrix, float32 [3, D], from the mean colour of a photo to D numbers."""

    name = "toy"

    def is_model(self, path: Path) -> bool:
        """Tell whether a path is a `.npy` file."""
        return path.suffix == ".npy"

    def read_input(self, _: BackboneRequest, __: Path) -> InputFormat:
        """Accept photos of 8 pixels."""
        return InputFormat(size=8, scaling="raw")

    def load_layers(self, _: Backbone, weights: Path, *, bfloat16: bool) -> LayerNetwork:
        """Load the matrix."""
        assert not bfloat16
        matrix = tf.constant(np.load(weights))
        return lambda pixels: (tf.reduce_mean(pixels, (1, 2)) @ matrix,)


def test_kind_that_is_registered_is_prepared_and_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(kind.name == name for name, kind in KINDS.items())
    monkeypatch.setitem(kinds.KINDS, "toy", Toy())
    np.save(tmp_path / "toy.npy", np.eye(3, dtype=np.float32))
    prepared = prepare_backbone(BackboneRequest(str(tmp_path / "toy.npy")), tmp_path, NullProgress())
    assert (prepared.backbone.kind, prepared.backbone.size, prepared.backbone.widths) == ("toy", 8, (3,))
    colour = np.full((2, 8, 8, 3), (1.0, 2.0, 3.0), np.float32)
    np.testing.assert_allclose(load_network(prepared)(colour), [[1, 2, 3]] * 2)
    with pytest.raises(SettingError, match="toy is a graph whose weights are constants"):
        check_trainable(prepared.backbone)


@pytest.mark.parametrize("kind", ["keras_file", "saved_model", "new"])
def test_catalog_s_entry_of_a_kind_without_entries_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    entry = catalog.read_catalog()["backbones"]["inception_2015"]
    monkeypatch.setattr(catalog, "read_catalog", lambda: {"backbones": {"mine": {**entry, "kind": kind}}})
    with pytest.raises(SettingError, match=f"gives mine the kind '{kind}'.* Correct it in data/catalog.toml"):
        prepare_backbone(BackboneRequest("mine"), tmp_path, NullProgress())
