"""Backbones beyond the default, end to end: the graph of 2015 from a server, and a model of the user's."""

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.backbone.inception import build_graph, zip_graph
from tests.download.server import FileServer, serving
from tests.pipeline.command import LITTLE, Project, draw
from tests.pipeline.first_stages import retrain_here

CLASSIC = {"recipe": "classic", "steps": "300"}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A few photos, and an empty data root."""
    project = Project(tmp_path / "photos", tmp_path / "data")
    draw(project.photos, range(18))
    return project


def archive(folder: Path, seed: int) -> bytes:
    """A small stand-in of inception_dec_2015.zip."""
    folder.mkdir()
    return zip_graph(folder, build_graph(widths=0.02, seed=seed)).read_bytes()


def test_the_network_of_2015_is_fetched_once_locked_and_run_in_batches(project: Project, tmp_path: Path) -> None:
    with serving(FileServer(archive(tmp_path / "one", seed=0))) as server:
        url = server.url.replace("photos.tgz", "inception_dec_2015.zip")
        options = {"backbone": "inception_2015", "image_size": "0", "weights": url, **LITTLE, **CLASSIC}
        first = project.retrain_forked(**options, date="2026-03-01")
        assert first.code == 0, first.errors
        assert f"inception_dec_2015.zip: sha256 {server.sha256} trusted on first use" in first.output
        assert "Step 300: validation accuracy" in first.output
        record = project.record("2026-03-01")
        asked = len(server.requests)

        retrain_here(project, **options, date="2026-03-02")
        assert len(server.requests) == asked
        assert project.record("2026-03-02")["head"] == record["head"]

        (lock,) = project.root.glob("backbone/inception_2015/*.sha256")
        for path in set(lock.parent.iterdir()) - {lock}:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        trusted, server.content = server.sha256, archive(tmp_path / "other", seed=1)
        other = project.retrain_forked(**options, date="2026-03-03")
        assert other.code == 53
        assert trusted in other.errors
        assert server.sha256 in other.errors
        assert f"delete {lock}" in other.errors
    (shard,) = project.root.glob("bottleneck/*/part-*.parquet")
    assert pq.read_table(shard).num_rows == 18
    assert record["stages"]["decode"]["new"] == 18


def test_a_model_of_the_user_s_is_used_and_used_anew_when_it_changed(project: Project, tmp_path: Path) -> None:
    from tasks.runtime.tensorflow_import import keras  # noqa: PLC0415 (takes seconds)

    def save(seed: int) -> None:
        keras.utils.set_random_seed(seed)
        layers = [keras.Input((32, 32, 3)), keras.layers.Conv2D(8, 3, 2), keras.layers.GlobalAveragePooling2D()]
        keras.Sequential([*layers, keras.layers.Dense(5)]).save(tmp_path / "mine.keras")

    save(seed=0)
    options = {"backbone": str(tmp_path / "mine.keras"), "image_size": "0", **LITTLE}
    refused = project.retrain_forked(**options)
    assert refused.code == 51
    assert "--scaling" in refused.errors
    retrain_here(project, **options, scaling="unit", date="2026-03-01")
    save(seed=1)
    retrain_here(project, **options, scaling="unit", date="2026-03-02")
    one, other = (project.record(date)["bottleneck"] for date in ("2026-03-01", "2026-03-02"))
    assert one != other
