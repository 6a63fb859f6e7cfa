"""Runs with the data root on a real object store have the results of a run on a disk, also if the store fails."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from upath import UPath

from tests.pipeline.command import QUICK, Finished, assert_error, forked, luigi
from tests.pipeline.conftest import Trained
from tests.reliability.contents import contents, differences
from tests.reliability.kill_points import KillPoint
from tests.reliability.store_trial import StoreTrial
from tests.reliability.trial import survive
from tests.support.servers.gateway import Gateway, Outcome, Request
from tests.support.servers.object_store import ObjectStore

pytestmark = pytest.mark.slow

#: Before a shard arrives and after, and when all but the page of all runs is there.
POINTS = [
    KillPoint(("PUT decode/#/part-#.parquet",), "before"),
    KillPoint(("PUT bottleneck/#/part-#.parquet",), "after"),
    KillPoint(("PUT index.html",), "before"),
]
#: Requests of a cold run: so many a photo, for each is read twice from the store; and so many however few they are.
A_PHOTO, IN_ALL = 2, 220

Make = Callable[..., StoreTrial]


@pytest.fixture
def make(trained: Trained, object_store: ObjectStore, gateway: Gateway, tmp_path: Path) -> Make:
    """Makes a data root on the store for the photos of the first run."""

    def make(name: str) -> StoreTrial:
        options = {**QUICK, "date": Trained.DATE}
        return StoreTrial(tmp_path / name, trained.project.photos, options, object_store.url(name), gateway)

    return make


def test_runs_killed_at_a_store_that_asks_to_slow_down_come_to_what_a_run_on_a_disk_does(
    make: Make, trained: Trained
) -> None:
    told: list[str] = []
    trial = make("killed")
    history = survive(trial, POINTS, contents(trained.project.root), told.append)
    assert history.faults == []
    assert [kill.point for kill in history.kills] == POINTS, told

    with trial.gateway.counting() as counted:
        again = trial.run()
    assert again.output.startswith("Nothing to do")
    assert counted.total() <= 20, counted
    assert counted["PUT"] <= 5, counted


def test_two_runs_at_once_of_photos_on_the_store_make_one_model_in_few_requests_and_tell_no_credentials(
    make: Make, trained: Trained, object_store: ObjectStore, gateway: Gateway
) -> None:
    trial, photos = make("both"), object_store.url("photos")
    UPath(photos, skip_instance_cache=True).fs.put(f"{trial.photos}/", f"{photos}/", recursive=True)
    options = {**trial.given, "dataset": photos}
    with ThreadPoolExecutor(2) as pool:
        runs: list[Finished] = list(pool.map(lambda _: luigi("RetrainFlowers", options), range(2)))
    assert [run.errors for run in runs if run.code] == []
    assert sorted("Nothing to do" in run.output for run in runs) == [False, True]
    # But for those of leases, which are more the longer it takes: one that waits looks at it once a second.
    counted = Counter(request.kind for request in gateway.seen if "/." not in request.key)
    assert counted["GET"] + counted["PUT"] <= A_PHOTO * Trained.PHOTOS + IN_ALL, counted
    held = trial.fetch()
    (head,), (other,) = held.glob("train/*/head.npz"), trained.project.root.glob("train/*/head.npz")
    assert head.parent.name == other.parent.name
    told = "".join(run.output + run.errors for run in runs)
    assert object_store.secret not in told
    for path in held.rglob("*"):
        assert path.is_dir() or object_store.secret.encode() not in path.read_bytes()


def test_a_store_that_stops_in_the_middle_is_reported_and_the_next_run_goes_on(
    make: Make, trained: Trained, gateway: Gateway
) -> None:
    trial = make("stopped")
    stopped = threading.Event()

    def outcome(request: Request) -> Outcome:
        if request.kind == "PUT" and "decode/" in request.key:
            stopped.set()
        return Outcome.HUNG_UP if stopped.is_set() else Outcome.PASSED

    gateway.decide(outcome)
    # One attempt at each request, in place of half a minute of them.
    done = luigi("RetrainFlowers", trial.given, {"AWS_MAX_ATTEMPTS": "1"})
    assert stopped.is_set()
    assert_error(done, 56, "The object store cannot be used")
    gateway.decide(lambda _: Outcome.PASSED)
    forked("RetrainFlowers", trial.given).check()
    assert differences(contents(trial.fetch()), contents(trained.project.root)) == []
