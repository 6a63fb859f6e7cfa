"""The classic recipe with its distortions, end to end: further views that train, are cached, and never predict."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.pipeline.command import Project, draw


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A few photos, and an empty data root."""
    project = Project(tmp_path / "photos", tmp_path / "data")
    draw(project.photos, range(24))
    return project


def test_distorted_views_are_drawn_once_and_both_recipes_train_on_them(project: Project) -> None:
    distortions = {"flip_left_right": "", "random_crop": "10", "random_scale": "20", "random_brightness": "30"}
    options = {**distortions, "distorted_views": "3"}
    classic = project.retrain(**options, recipe="classic", steps="200", date="2026-03-01")
    assert classic.code == 0, classic.errors
    lines = [line for line in classic.output.splitlines() if line.startswith("Step ")]
    assert [line.split(":")[0] for line in lines] == ["Step 100", "Step 200"]
    assert all(line.endswith("%") for line in lines)
    assert "Final test accuracy = " in classic.output
    (shard,) = project.root.glob("bottleneck/*/part-*.parquet")
    assert sorted(pq.read_table(shard, columns=["view"]).column("view").to_pylist()) == sorted([0, 1, 2, 3] * 24)

    assert project.retrain(**options, recipe="adam", date="2026-03-02").code == 0
    assert project.new("2026-03-02")["bottleneck"] == 0
    one, other = (project.record(date)["head"] for date in ("2026-03-01", "2026-03-02"))
    assert one != other

    assert project.retrain(**options, seed="1", recipe="classic", steps="200", date="2026-03-03").code == 0
    assert project.new("2026-03-03")["bottleneck"] == 24
