"""What a user asks for: its key, its folder's name, and whether the files that it names still look as they did."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.backbone.request import BackboneRequest

LITE0 = BackboneRequest("efficientnet_lite0")


@pytest.mark.parametrize(
    "change",
    [
        {"backbone": "efficientnet_lite1"},
        {"weights": "other.pth"},
        {"size": 64},
        {"scaling": "raw"},
        {"input_tensor": "Mul:0"},
        {"bottleneck_tensor": "pool_3:0"},
    ],
)
def test_every_wish_changes_the_key(change: dict[str, object]) -> None:
    assert replace(LITE0, **change).key != LITE0.key  # type: ignore[arg-type]  # each of its own type


@pytest.mark.parametrize(
    ("backbone", "start"),
    [("keras:MobileNetV2", "keras-MobileNetV2-"), ("../models/my net.keras", "my-net-keras-"), ("/", "backbone-")],
)
def test_folder_of_anything_but_a_plain_name_is_readable_and_its_own(backbone: str, start: str) -> None:
    slug = BackboneRequest(backbone).slug
    assert slug.startswith(start)
    assert slug != BackboneRequest(f"elsewhere/{backbone}").slug
    assert "/" not in slug


def test_folder_of_a_plain_name_is_that_name() -> None:
    assert LITE0.slug == "efficientnet_lite0"


def test_state_is_another_when_a_file_was_written_again(tmp_path: Path) -> None:
    model = tmp_path / "net.keras"
    model.write_bytes(b"one")
    request = BackboneRequest(str(model))
    before = request.state()
    assert request.state() == before
    os.utime(model, ns=(0, 1))
    assert request.state() != before


def test_state_is_another_when_a_file_was_replaced_with_the_same_size_and_mtime(tmp_path: Path) -> None:
    model, other = tmp_path / "net.keras", tmp_path / "other"
    for path in (model, other):
        path.write_bytes(path.name[:3].encode())
        os.utime(path, ns=(0, 1))
    before = BackboneRequest(str(model)).state()
    other.replace(model)
    assert BackboneRequest(str(model)).state() != before


def test_state_is_another_when_a_file_in_a_folder_was_written_again(tmp_path: Path) -> None:
    inner = tmp_path / "model" / "variables" / "data"
    inner.parent.mkdir(parents=True)
    inner.write_bytes(b"one")
    request = BackboneRequest(str(tmp_path / "model"))
    before = request.state()
    inner.write_bytes(b"other")
    assert request.state() != before


def test_state_is_another_when_the_weights_are_gone(tmp_path: Path) -> None:
    weights = tmp_path / "net.h5"
    weights.write_bytes(b"one")
    request = replace(LITE0, weights=str(weights))
    before = request.state()
    weights.unlink()
    assert request.state() != before


@pytest.mark.parametrize("text", ["efficientnet_lite0", "keras:ResNet50", "~nobody-of-this-name/x", "x" * 300])
def test_what_names_no_file_looks_like_nothing(text: str) -> None:
    assert BackboneRequest(text, weights=text).state() == ", "
