"""The precision of the forward pass, end to end: resolved, recorded, and part of the key."""

from tasks.hardware import find_hardware
from tests.pipeline.command import LITTLE, Project, draw
from tests.pipeline.conftest import Trained
from tests.pipeline.first_stages import retrain_here


def test_precision_is_resolved_recorded_and_part_of_the_key(trained: Trained, copied: Project) -> None:
    fastest = "bfloat16" if find_hardware().bfloat16 else "float32"
    assert "delegate" not in trained.done.errors + trained.done.output
    assert "trackable_obj" not in trained.done.errors + trained.done.output
    auto = trained.project.record(Trained.DATE)
    assert auto["parameters"]["precision"] == "auto"
    assert auto["stages"]["bottleneck"]["details"]["precision"] == fastest
    assert {"imports", "network"} <= set(auto["stages"]["bottleneck"]["startup"])
    (network,) = copied.root.glob("bottleneck/*/openvino-*.zip")
    written = network.stat().st_mtime_ns

    retrain_here(copied, date="2026-03-02", precision=fastest)
    asked_for = copied.record("2026-03-02")
    assert asked_for["head"] == auto["head"]
    assert asked_for["stages"]["bottleneck"]["new"] == 0

    retrain_here(copied, date="2026-03-03", precision="int8", **LITTLE)
    other = copied.record("2026-03-03")
    assert other["stages"]["bottleneck"]["details"]["precision"] == "int8"
    assert other["stages"]["bottleneck"]["new"] == Trained.PHOTOS
    assert other["stages"]["decode"]["new"] == 0

    draw(copied.photos, range(Trained.PHOTOS, Trained.PHOTOS + 3))
    retrain_here(copied, date="2026-03-04", **LITTLE)
    assert copied.record("2026-03-04")["stages"]["bottleneck"]["new"] == 3
    assert list(copied.root.glob("bottleneck/*/openvino-*.zip")) == [network]
    assert network.stat().st_mtime_ns == written


def test_unknown_precision_is_refused_by_name(trained: Trained) -> None:
    done = trained.project.retrain(precision="float16")
    assert done.code == 51
    assert "precision" in done.errors
    assert "bfloat16" in done.errors
