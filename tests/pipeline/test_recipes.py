"""The classic recipe with its distortions, end to end: further views that train, are cached, and never predict."""

import pyarrow.parquet as pq
import pytest

from tests.pipeline.command import Project
from tests.pipeline.conftest import Trained
from tests.pipeline.first_stages import retrain_here


def test_distorted_views_are_drawn_once_and_both_recipes_train_on_them(
    same_photos: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    distortions = {"flip_left_right": "true", "random_crop": "10", "random_scale": "20", "random_brightness": "30"}
    options = {**distortions, "distorted_views": "3"}
    plain = set(same_photos.root.glob("bottleneck/*/part-*.parquet"))
    retrain_here(same_photos, **options, recipe="classic", steps="200", date="2026-03-02")
    told = capsys.readouterr().out
    lines = [line for line in told.splitlines() if line.startswith("Step ")]
    assert [line.split(":")[0] for line in lines] == ["Step 100", "Step 200"]
    assert all(line.endswith("%") for line in lines)
    assert "Final test accuracy = " in told
    (shard,) = set(same_photos.root.glob("bottleneck/*/part-*.parquet")) - plain
    views = pq.read_table(shard, columns=["view"]).column("view").to_pylist()
    assert sorted(views) == sorted([0, 1, 2, 3] * Trained.PHOTOS)

    retrain_here(same_photos, **options, recipe="adam", date="2026-03-03")
    assert same_photos.new("2026-03-03")["bottleneck"] == 0
    one, other = (same_photos.record(date)["head"] for date in ("2026-03-02", "2026-03-03"))
    assert one != other

    retrain_here(same_photos, **options, seed="1", recipe="classic", steps="200", date="2026-03-04")
    assert same_photos.new("2026-03-04")["bottleneck"] == Trained.PHOTOS
