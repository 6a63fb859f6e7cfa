"""The model card and the file of labels: what odd names do to them, and what they know of licences."""

from dataclasses import replace
from pathlib import Path

import pytest

from tasks.catalog import find_backbone
from tasks.export.card import backbone_licence, dataset_of, escape_cell, write_labels
from tasks.shards.manifests import Manifest, StageResult
from tasks.storage.layout import DataRoot
from tests.bottleneck.networks import lite

ODD = ("a b ", "back\\slash", "new\nline", "next\x85line", "pipe|`_<b>", "übergröße", "\u2028", "花")


def test_labels_are_one_a_line_for_every_reader(tmp_path: Path) -> None:
    write_labels(ODD, tmp_path / "labels.txt")
    data = (tmp_path / "labels.txt").read_bytes()
    lines = data.decode().splitlines()
    assert len(lines) == len(data.split(b"\n")) - 1 == len(ODD)
    assert lines[0] == "a b "
    assert lines[5:] == ["übergröße", "\\u2028", "花"]
    read = [line.encode("latin-1", "backslashreplace").decode("unicode_escape") for line in lines]
    assert read == list(ODD)


@pytest.mark.parametrize(
    ("label", "shown"),
    [("rose", "rose"), ("a|b", "a\\|b"), ("<b>_x_", "\\<b\\>\\_x\\_"), ("new\nline", "new\\\\nline"), ("花", "花")],
)
def test_names_are_escaped_in_a_table(label: str, shown: str) -> None:
    assert escape_cell(label) == shown


def test_licence_is_the_catalog_s_for_its_own_weights_alone() -> None:
    backbone = lite(64).backbone
    assert backbone_licence(backbone) == find_backbone("efficientnet_lite0").licence
    assert "not known" in backbone_licence(replace(backbone, weights_sha256="0" * 64))
    assert "not known" in backbone_licence(replace(backbone, name="keras:MobileNetV2"))


def test_dataset_is_found_by_its_snapshot(root: DataRoot[Path]) -> None:
    settings = {"name": "mine", "kind": "folder", "location": "/photos", "licence": "CC0-1.0"}
    taken = StageResult(key="abc", snapshot="abc", settings=settings, photos=3, new=3, reused=0)
    Manifest(stage="snapshot", run="test", seconds=0.0, **vars(taken)).publish(
        root.snapshots("mine") / "2026-01-01.json"
    )
    (root.snapshots("mine") / "2026-01-02.json").write_text("damaged")
    assert dataset_of("abc", root).licence == "CC0-1.0"
    assert dataset_of("def", root).licence == "unknown"
