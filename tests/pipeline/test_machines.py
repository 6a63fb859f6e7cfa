"""Machines that share a data root on an object store and one `luigid`: the death of one hands its work on."""

import threading
from pathlib import Path

from tests.pipeline.command import QUICK, Project, words
from tests.pipeline.first_stages import retrain_here, small_backbone
from tests.reliability.contents import contents, differences
from tests.reliability.store_trial import StoreTrial
from tests.reliability.trial import draw_old
from tests.support.processes import until
from tests.support.servers.gateway import Fate, Gateway, Request
from tests.support.servers.luigid import Machine, luigid
from tests.support.servers.object_store import ObjectStore

DATE = "2026-11-24"
#: Seconds after which a machine that is gone holds nothing on the object store, and after which luigid misses it, once
#: it is gone: before, it misses nobody, however busy this machine is.
LEASE, MISSED, NEVER = 3.0, 5.0, 3600.0


def test_night_of_a_machine_that_is_killed_is_ended_by_another_and_comes_to_what_a_run_on_a_disk_does(
    object_store: ObjectStore, gateway: Gateway, tmp_path: Path
) -> None:
    alone = Project(tmp_path / "photos", tmp_path / "alone")
    draw_old(alone.photos, range(24))
    options = {**QUICK, **small_backbone(tmp_path), "max-rejected": "0.5", "date": DATE}
    retrain_here(alone, **options)

    trial = StoreTrial(tmp_path / "far", alone.photos, options, object_store.url("data"), gateway)
    retrain = words("RetrainFlowers", trial.given)[1:]
    awaited = threading.Event()

    with luigid(tmp_path / "luigid", worker_disconnect_delay=NEVER) as scheduler:
        one, other = (Machine(name, tmp_path, scheduler.port, lease=LEASE) for name in ("one", "other"))
        with one.start(*retrain) as killed:

            def fate(request: Request) -> Fate:
                """Let no bottlenecks arrive until the other machine waits; then the first one is gone."""
                if killed.process.poll() is None and "bottleneck/" in request.key and "part-" in request.key:
                    if not awaited.is_set():
                        return Fate.HELD
                    killed.kill()
                    return Fate.HUNG_UP
                return Fate.PASSED

            gateway.decide(fate)
            killed.says("backbone ")
            with other.start(*retrain) as heir:
                heir.says("Another process is at the run of photos")
                awaited.set()
                until(lambda: killed.process.poll() is not None)
                scheduler.change("worker_disconnect_delay", MISSED)
                assert heir.end() == 0, heir.said()
    assert killed.process.returncode < 0, killed.said()
    assert "one is running bottleneck; waiting until it has ended." in heir.said()
    # What was done is not done again.
    assert [line.split(" ")[0] for line in heir.said().splitlines() if " new " in line and " reused " in line] == [
        "bottleneck",
        "train",
        "evaluate",
        "champion",
        "report",
    ]
    # This process holds the night on the disk until it ends.
    expected = {name: value for name, value in contents(alone.root).items() if not name.endswith(".lock")}
    assert differences(contents(trial.fetch()), expected) == []
