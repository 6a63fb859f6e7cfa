"""The backbone stage: done while the files that it was made of look as they did."""

import os
import shutil
from pathlib import Path

import pytest

from tasks.backbone.request import BackboneRequest
from tasks.backbone.task import PrepareBackbone
from tasks.backbone.weights import packaged_weights
from tasks.catalog import find_backbone
from tasks.run_context import RunContext
from tasks.storage.files import local
from tests.backbone.inception import build_graph, zip_graph


def prepare(root: Path, weights: Path | None = None, backbone: str = "efficientnet_lite0") -> PrepareBackbone:
    request = BackboneRequest(backbone, weights=str(weights or ""))
    task = PrepareBackbone(context=RunContext(data_root=str(root)), request=request)
    assert not task.complete()
    task.run()
    return task


def test_done_task_knows_the_backbone_without_its_files_being_read(tmp_path: Path) -> None:
    task = prepare(tmp_path)
    assert task.complete()
    prepared = PrepareBackbone(context=RunContext(data_root=str(tmp_path)), request=task.request).prepared()
    assert (prepared.backbone.name, prepared.backbone.width) == ("efficientnet_lite0", 4256)
    assert prepared.weights == packaged_weights(find_backbone("efficientnet_lite0"))


@pytest.mark.parametrize("harm", [lambda path: os.utime(path, ns=(0, 1)), lambda path: path.unlink()])
def test_weights_of_the_user_s_that_changed_or_went_are_looked_at_again(tmp_path: Path, harm: object) -> None:
    mine = tmp_path / "mine.pth"
    mine.write_bytes(packaged_weights(find_backbone("efficientnet_lite0")).read_bytes())
    task = prepare(tmp_path / "data", mine)
    assert task.complete()
    harm(mine)  # type: ignore[operator]
    assert not task.complete()


def test_graph_that_was_extracted_and_is_gone_is_extracted_again(tmp_path: Path) -> None:
    task = prepare(tmp_path / "data", zip_graph(tmp_path, build_graph(widths=0.02)), "inception_2015")
    graph = local(task.prepared().weights)
    shutil.rmtree(graph.parent)
    assert not task.complete()
    task.run()
    assert task.complete()
    assert graph.is_file()
