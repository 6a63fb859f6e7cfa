"""The precision of the forward pass, end to end: resolved, recorded, and part of the key."""

from pathlib import Path

import pytest

from tests.pipeline.command import Project, draw


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A few photos, and an empty data root."""
    project = Project(tmp_path / "photos", tmp_path / "data")
    draw(project.photos, range(18))
    return project


def test_precision_is_resolved_recorded_and_part_of_the_key(project: Project) -> None:
    done = project.retrain(date="2026-03-01", folds="0")
    assert done.code == 0, done.errors
    assert "delegate" not in done.errors + done.output
    assert "trackable_obj" not in done.errors + done.output
    auto = project.record("2026-03-01")
    assert auto["parameters"]["precision"] == "auto"
    assert auto["stages"]["bottleneck"]["details"]["precision"] == "int8"
    assert {"imports", "network"} <= set(auto["stages"]["bottleneck"]["startup"])
    (network,) = project.root.glob("bottleneck/*/int8-*.tflite")

    assert project.retrain(date="2026-03-02", folds="0", precision="int8").code == 0
    asked_for = project.record("2026-03-02")
    assert asked_for["head"] == auto["head"]
    assert asked_for["stages"]["bottleneck"]["new"] == 0

    assert project.retrain(date="2026-03-03", folds="0", precision="float32").code == 0
    exact = project.record("2026-03-03")
    assert exact["bottleneck"] != auto["bottleneck"]
    assert exact["stages"]["bottleneck"]["new"] == 18
    assert exact["stages"]["decode"]["new"] == 0

    draw(project.photos, range(18, 21))
    written = network.stat().st_mtime_ns
    assert project.retrain(date="2026-03-04", folds="0").code == 0
    assert project.record("2026-03-04")["stages"]["bottleneck"]["new"] == 3
    assert list(project.root.glob("bottleneck/*/int8-*.tflite")) == [network]
    assert network.stat().st_mtime_ns == written


def test_unknown_precision_is_refused_by_name(project: Project) -> None:
    done = project.retrain(precision="float16")
    assert done.code == 51
    assert "precision" in done.errors
    assert "bfloat16" in done.errors
