"""Runs that are killed anywhere lose nothing and leave nothing behind; `kill.py` is the long version, by hand."""

from pathlib import Path

import pytest

from tasks.runtime.tensorflow_import import tf
from tasks.train.checkpoints import CHECKPOINTS_KEPT, LIST
from tests.pipeline.command import QUICK, Project
from tests.reliability.contents import contents, damaged, differences
from tests.reliability.kill_points import KillPoint, choose_points
from tests.reliability.trial import Trial, draw_old, survive

pytestmark = pytest.mark.slow

PHOTOS = 300
#: The hashes of photos, a manifest, a shard, the page of all runs; before and after the event, from within and from
#: outside, all processes and only the one that was started.
POINTS = [
    KillPoint(("os.rename snapshot/photos-#/hashes.parquet",), "before"),
    KillPoint(("open decode/#/manifests/.tmp-#.json-#",), "after", "main"),
    KillPoint(("os.rename bottleneck/#/part-#.parquet",), "later", "main", 0.5),
    KillPoint(("os.rename index.html",), "before"),
]


def test_runs_that_are_killed_again_and_again_give_the_results_of_an_undisturbed_one(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    draw_old(photos, range(PHOTOS))
    options = {**QUICK, "precision": "float32", "date": "2026-01-31"}
    undisturbed = Project(photos, tmp_path / "undisturbed")
    undisturbed.retrain_forked(**options).check()
    told: list[str] = []
    history = survive(Trial(tmp_path / "killed", photos, options), POINTS, contents(undisturbed.root), told.append)
    assert history.faults == []
    assert [kill.point for kill in history.kills] == POINTS, told


def test_points_are_spread_over_the_places_and_over_the_time_in_the_order_of_the_run() -> None:
    places = {"os.mkdir decode": 0.0, "os.rename decode/#": 1.0, "os.rename train/#": 5.0, "os.remove x": 6.0}
    points = choose_points(places, 12)
    assert [point.places[0] for point in points if point.way != "later"] == [place for place in places for _ in "ab"]
    moments = [places[point.places[0]] + point.delay for point in points]
    assert moments == sorted(moments)
    later = [moment for moment, point in zip(moments, points, strict=True) if point.way == "later"]
    assert all(1.5 * quarter <= moment <= 1.5 * (quarter + 1) for quarter, moment in enumerate(later))
    # A run beyond the first place is killed when the next thing is published.
    assert points[0].places == ("os.mkdir decode", "os.rename decode/#", "os.rename train/#")


def test_the_delay_of_a_point_counts_from_the_first_place_even_if_it_comes_late() -> None:
    places = {"os.mkdir report": 5.0, "os.rename report/#": 6.0}
    later = [point for point in choose_points(places, 12) if point.way == "later"]
    assert len(later) == 4
    assert all(0 <= point.delay <= 1 for point in later)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data root of two files."""
    (tmp_path / "metrics.json").write_text('{"accuracy": 0.5, "run": "one", "seconds": 3}')
    (tmp_path / "index.html").write_text("<html></html>")
    return tmp_path


def test_data_roots_differ_in_results_and_not_in_runs_and_times(root: Path) -> None:
    one = contents(root)
    (root / "metrics.json").write_text('{"accuracy": 0.5, "run": "other", "seconds": 4}')
    assert differences(one, contents(root)) == []
    (root / "metrics.json").write_text('{"accuracy": 0.6, "run": "one", "seconds": 3}')
    (root / "index.html").unlink()
    assert differences(one, contents(root)) == ["index.html", "metrics.json"]


def test_damaged_files_are_named_except_unpublished_ones(root: Path) -> None:
    assert damaged(root) == []
    names = ["a.json", "head.npz", "index.html", "net.keras", "part-a.parquet"]
    for name in (*names, ".tmp-b.json"):
        (root / name).write_bytes(b"half")
    assert sorted(line.split(":")[0] for line in damaged(root)) == names


def test_kept_checkpoints_must_open_and_a_removed_one_need_not(tmp_path: Path) -> None:
    # As a kill leaves them between TensorFlow's removal of the oldest one and the list without it.
    state = tf.train.Checkpoint(step=tf.Variable(0))
    manager = tf.train.CheckpointManager(state, str(tmp_path), CHECKPOINTS_KEPT + 1)
    removed, *_, newest = [Path(manager.save(step)) for step in range(CHECKPOINTS_KEPT + 1)]
    for part in tmp_path.glob(f"{removed.name}.*"):
        part.unlink()
    assert damaged(tmp_path) == []
    newest.with_suffix(".index").unlink()
    assert [line.split(":")[0] for line in damaged(tmp_path)] == [LIST]
