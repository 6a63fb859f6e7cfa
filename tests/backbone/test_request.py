"""A request for a backbone: its key, the name of its folder, and the state of the files that it names."""

import os
from collections.abc import Callable
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
    assert LITE0.slug == "efficientnet_lite0", "a plain name stays"


def replaced(path: Path) -> None:
    """Replace a file by one of the same size and mtime."""
    other = path.with_name("other")
    other.write_bytes(b"two")
    os.utime(other, ns=(0, path.stat().st_mtime_ns))
    other.replace(path)


@pytest.mark.parametrize(
    "change",
    [lambda path: os.utime(path, ns=(0, 1)), lambda path: path.write_bytes(b"other"), replaced, Path.unlink],
    ids=["touched", "written", "replaced", "gone"],
)
@pytest.mark.parametrize(
    "request_",
    [BackboneRequest("{0}/net.keras"), BackboneRequest("{0}"), replace(LITE0, weights="{0}/net.keras")],
    ids=["file", "folder", "weights"],
)
def test_state_is_another_when_a_file_has_changed(
    tmp_path: Path, request_: BackboneRequest, change: Callable[[Path], object]
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "net.keras").write_bytes(b"one")
    backbone, weights = (text.format(folder) for text in (request_.backbone, request_.weights))
    request = BackboneRequest(backbone, weights)
    before = request.state()
    assert request.state() == before
    change(folder / "net.keras")
    assert request.state() != before


@pytest.mark.parametrize("text", ["efficientnet_lite0", "keras:ResNet50", "~nobody-of-this-name/x", "x" * 300])
def test_text_that_names_no_file_has_an_empty_state(text: str) -> None:
    assert BackboneRequest(text, weights=text).state() == ", "
