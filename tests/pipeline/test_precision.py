"""The precision of the forward pass, end to end: resolved, recorded, and part of the key."""

from pathlib import Path
from typing import Any

from tests.pipeline.command import LITTLE, Project, draw
from tests.pipeline.conftest import Trained
from tests.pipeline.first_stages import retrain_here


def networks(project: Project, record: dict[str, Any]) -> list[Path]:
    """The networks that are kept beside a run's bottlenecks."""
    store = project.root / "bottleneck" / record["bottleneck"]
    return [path for path in store.iterdir() if path.suffix in (".tflite", ".zip")]


def test_precision_is_resolved_recorded_and_part_of_the_key(trained: Trained, copied: Project) -> None:
    assert "delegate" not in trained.done.errors + trained.done.output
    assert "trackable_obj" not in trained.done.errors + trained.done.output
    auto = trained.project.record(Trained.DATE)
    assert auto["parameters"]["precision"] == "auto"
    # Which one it is depends on the processor; float32 it is nowhere for this network.
    resolved = auto["stages"]["bottleneck"]["details"]["precision"]
    assert resolved in {"bfloat16", "int8"}
    assert {"imports", "network"} <= set(auto["stages"]["bottleneck"]["startup"])
    (network,) = networks(copied, auto)
    written = network.stat().st_mtime_ns

    retrain_here(copied, date="2026-03-02", precision=resolved)
    asked_for = copied.record("2026-03-02")
    assert asked_for["head"] == auto["head"]
    assert asked_for["stages"]["bottleneck"]["new"] == 0

    retrain_here(copied, date="2026-03-03", precision="float32", **LITTLE)
    exact = copied.record("2026-03-03")
    assert exact["bottleneck"] != auto["bottleneck"]
    assert exact["stages"]["bottleneck"]["new"] == Trained.PHOTOS
    assert exact["stages"]["decode"]["new"] == 0

    draw(copied.photos, range(Trained.PHOTOS, Trained.PHOTOS + 3))
    retrain_here(copied, date="2026-03-04", **LITTLE)
    assert copied.record("2026-03-04")["stages"]["bottleneck"]["new"] == 3
    assert networks(copied, auto) == [network]
    assert network.stat().st_mtime_ns == written


def test_unknown_precision_is_refused_by_name(trained: Trained) -> None:
    done = trained.project.retrain(precision="float16")
    assert done.code == 51
    assert "precision" in done.errors
    assert "bfloat16" in done.errors
