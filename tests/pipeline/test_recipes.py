"""The classic recipe with its distortions, end to end: further views that train, are cached, and never predict."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.pipeline.command import Project, draw
from tests.pipeline.first_stages import retrain_here, small_backbone

PHOTOS = 24


def test_distorted_views_are_drawn_once_and_both_recipes_train_on_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = Project(tmp_path / "photos", tmp_path / "data")
    draw(project.photos, range(PHOTOS))
    distortions = {"flip_left_right": "true", "random_crop": "10", "random_scale": "20", "random_brightness": "30"}
    options = {**small_backbone(tmp_path), **distortions, "distorted_views": "3", "folds": "0"}
    retrain_here(project, **options, recipe="classic", steps="200", date="2026-03-02")
    told = capsys.readouterr().out
    lines = [line for line in told.splitlines() if line.startswith("Step ")]
    assert [line.split(":")[0] for line in lines] == ["Step 100", "Step 200"]
    assert all(line.endswith("%") for line in lines)
    assert "Final test accuracy = " in told
    (shard,) = project.root.glob("bottleneck/*/part-*.parquet")
    views = pq.read_table(shard, columns=["view"]).column("view").to_pylist()
    assert sorted(views) == sorted([0, 1, 2, 3] * PHOTOS)

    retrain_here(project, **options, recipe="lda", date="2026-03-03")
    assert project.new("2026-03-03")["bottleneck"] == 0
    one, other = (project.record(date)["head"] for date in ("2026-03-02", "2026-03-03"))
    assert one != other

    retrain_here(project, **options, seed="1", recipe="classic", steps="200", date="2026-03-04")
    assert project.new("2026-03-04")["bottleneck"] == PHOTOS
