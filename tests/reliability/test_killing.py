"""Runs killed anywhere lose nothing and leave nothing behind: fast, and by hand `python -m tests.reliability.kill`."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tasks.runtime.tensorflow_import import tf
from tasks.train.checkpoints import CHECKPOINTS_KEPT, LIST
from tests.pipeline.command import QUICK, Project
from tests.reliability.contents import contents, damaged, differences
from tests.reliability.killing import Trial, draw_old, survive
from tests.reliability.shots import Shot, choose_shots

PHOTOS = 300
#: One of each kind: a photo's hash, a manifest, a shard, the page of all runs; before it is there and after, from
#: within and from outside, all processes and the one alone that started them.
SHOTS = [
    Shot(("os.rename snapshot/photos-#/hashes.parquet",), "before"),
    Shot(("open decode/#/manifests/.tmp-#.json-#",), "after", "main"),
    Shot(("os.rename bottleneck/#/part-#.parquet",), "later", "main", 0.5),
    Shot(("os.rename index.html",), "before"),
]


def test_a_run_killed_again_and_again_comes_to_what_an_undisturbed_one_does(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    draw_old(photos, range(PHOTOS))
    options = {**QUICK, "precision": "float32", "date": "2026-01-31"}
    undisturbed = Project(photos, tmp_path / "undisturbed")
    assert undisturbed.retrain_forked(**options).code == 0
    told: list[str] = []
    history = survive(Trial(tmp_path / "killed", photos, options), SHOTS, contents(undisturbed.root), told.append)
    assert history.faults == []
    assert [kill.shot for kill in history.kills] == SHOTS, told


def test_shots_are_spread_over_the_places_and_over_the_time_in_the_order_of_the_run() -> None:
    places = {"os.mkdir decode": 0.0, "os.rename decode/#": 1.0, "os.rename train/#": 5.0, "os.remove x": 6.0}
    shots = choose_shots(places, 12, seed=0)
    chosen = [shot.places[0] for shot in shots if shot.way != "later"]
    assert chosen == [place for place in places for _ in range(2)]
    at = [places[shot.places[0]] + shot.delay for shot in shots]
    assert at == sorted(at)
    for quarter, moment in enumerate(when for when, shot in zip(at, shots, strict=True) if shot.way == "later"):
        assert quarter * 1.5 <= moment <= (quarter + 1) * 1.5
    # Who is beyond the place that was meant is killed when the next thing is published.
    assert shots[0].places == ("os.mkdir decode", "os.rename decode/#", "os.rename train/#")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data root of two files."""
    (tmp_path / "metrics.json").write_text('{"accuracy": 0.5, "run": "one", "seconds": 3}')
    (tmp_path / "index.html").write_text("<html></html>")
    return tmp_path


def test_two_data_roots_differ_in_what_they_say_and_not_in_how_it_came_about(root: Path) -> None:
    one: Mapping[str, object] = contents(root)
    (root / "metrics.json").write_text('{"accuracy": 0.5, "run": "other", "seconds": 4}')
    assert differences(one, contents(root)) == []
    (root / "metrics.json").write_text('{"accuracy": 0.6, "run": "one", "seconds": 3}')
    (root / "index.html").unlink()
    assert differences(one, contents(root)) == ["index.html", "metrics.json"]


def test_what_does_not_open_is_named_but_for_what_is_still_written(root: Path) -> None:
    assert damaged(root) == []
    for name in ("part-a.parquet", "head.npz", "index.html", "a.json", "net.keras", ".tmp-b.json"):
        (root / name).write_bytes(b"half")
    assert sorted(told.split(":")[0] for told in damaged(root)) == [
        "a.json",
        "head.npz",
        "index.html",
        "net.keras",
        "part-a.parquet",
    ]


def test_checkpoints_that_are_kept_open_and_one_that_was_just_removed_need_not(tmp_path: Path) -> None:
    # What a kill leaves between TensorFlow's removal of the oldest one and the list without it.
    state = tf.train.Checkpoint(step=tf.Variable(0))
    manager = tf.train.CheckpointManager(state, str(tmp_path), CHECKPOINTS_KEPT + 1)
    removed, *_, newest = [Path(manager.save(step)) for step in range(CHECKPOINTS_KEPT + 1)]
    for part in tmp_path.glob(f"{removed.name}.*"):
        part.unlink()
    assert damaged(tmp_path) == []
    newest.with_suffix(".index").unlink()
    assert [told.split(":")[0] for told in damaged(tmp_path)] == [LIST]


def test_shots_at_places_that_come_late_wait_for_the_first_of_them() -> None:
    places = {"os.mkdir report": 5.0, "os.rename report/#": 6.0}
    later = [shot for shot in choose_shots(places, 12, seed=0) if shot.way == "later"]
    assert len(later) == 4
    assert all(0 <= shot.delay <= 1 for shot in later)
