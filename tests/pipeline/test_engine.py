"""--engine: which stages a cluster works for, and that nothing else of a run depends on it."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.retrain import RetrainFlowers
from tasks.backbone.backbones import Prepared
from tasks.bottleneck.settings import BottleneckSettings
from tasks.bottleneck.task import ExtractBottlenecks
from tasks.cluster.addresses import Cluster
from tasks.decode.task import DecodePhotos
from tasks.errors import MachineError
from tasks.progress import NullProgress
from tasks.run_context import RunContext
from tasks.shards.parquet import publish_parquet
from tasks.snapshot.photos import take_snapshot
from tasks.storage.layout import DataRoot
from tests.decode.drawing import encode, smooth
from tests.train.tiny import tiny

NOBODY: dict[str, Any] = {"engine": "ray", "ray_address": "127.0.0.1:1"}


@pytest.fixture
def small(tmp_path: Path) -> Prepared:
    return tiny(tmp_path)


@pytest.fixture
def given(small: Prepared, tmp_path: Path) -> dict[str, Any]:
    """A snapshot of six photos, and what its stages are told."""
    folder, root = tmp_path / "photos", DataRoot(tmp_path / "data")
    for label in ("roses", "tulips"):
        (folder / label).mkdir(parents=True)
        for number in range(3):
            (folder / label / f"{number}.png").write_bytes(encode(smooth(40 + number, 30 + len(label)), "PNG"))
    snapshot = take_snapshot(folder, None, NullProgress())
    publish_parquet(root.snapshot(snapshot.key), snapshot.table)
    return {
        "data_root": str(root.path),
        "snapshot": snapshot.key,
        "photos": str(folder),
        "weights": ((small.backbone.weights_sha256, str(small.weights)),),
    }


def test_a_run_is_the_same_run_whoever_works_for_it() -> None:
    local, on_ray = RetrainFlowers(dataset="sample"), RetrainFlowers(dataset="sample", engine="ray", ray_address="auto")
    assert local.parameters() == on_ray.parameters()
    assert local.record_path() == on_ray.record_path()


def test_decoding_and_extraction_ask_the_cluster(given: dict[str, Any], small: Prepared) -> None:
    settings = BottleneckSettings(small.backbone, encoding="png", precision="float32", views=1)
    on_ray = ExtractBottlenecks(context=RunContext(**given, **NOBODY), settings=settings)
    assert on_ray.context.cluster == on_ray.requires().context.cluster == Cluster("127.0.0.1:1")
    with pytest.raises(MachineError, match="no Ray cluster can be used"):
        on_ray.requires().run()
    DecodePhotos(context=RunContext(**given), settings=settings.decode).run()
    with pytest.raises(MachineError, match="no Ray cluster can be used"):
        on_ray.run()
    ExtractBottlenecks(context=RunContext(**given), settings=settings).run()
    on_ray.run()
    assert (on_ray.manifest().new, on_ray.manifest().reused) == (0, 6), "nobody is asked where nothing is missing"
