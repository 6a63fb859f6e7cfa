"""Locks on an object store: one holder at a time, taken over at once or after a while where the holder is gone."""

import json
import signal
import sys
import time
from collections.abc import Iterator
from itertools import count

import pytest
from upath import UPath

from tasks.errors import StoreError
from tasks.paths import AnyPath, is_remote, to_path
from tasks.storage import leases
from tasks.storage.files import listed, lock_folder, read_json, storage_at
from tasks.storage.lease_locks import _leased
from tasks.storage.leases import acquire
from tasks.storage.object_store import put_bytes
from tests.storage.processes import SHARER, started, waiting
from tests.support.processes import TIMEOUT, read_line, run, until
from tests.support.servers.gateway import Gateway, Outcome, Request
from tests.support.servers.object_store import ObjectStore

FORKER = """
import sys
from multiprocessing import get_context
from tasks.storage.files import listed
from tasks.storage.files import lock_folder, storage_at
from tasks.paths import to_path

def work():
    assert not storage_at(root).lock_until_exit(root / "run", "it")
    assert not storage_at(root).lock_shared(root)
    lease.release()

root = to_path(sys.argv[1])
storage_at(root).lock_until_exit(root / "run", "it")
storage_at(root).lock_shared(root)
from tasks.storage.lease_locks import _leased
lease = _leased[str(root / "run")]
child = get_context("fork").Process(target=work)
child.start()
child.join()
print(child.exitcode, lease.path.read_bytes() == lease.body(released=False), len(listed(root / ".running")))
"""

ENDING = """
import sys
import tasks.paths

# As where the store is far away, and nobody has spoken with it for a while: its address is looked up again.
tasks.paths._OPTIONS["s3"]["config_kwargs"]["connector_args"] = {"keepalive_timeout": 0.01, "ttl_dns_cache": 0}
from tasks.storage.files import storage_at
root = tasks.paths.to_path(sys.argv[1])
storage_at(root).lock_shared(root)
"""


@pytest.fixture
def folder(object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[UPath]:
    """A folder of a store that nobody works in; whoever waits here looks often, and does not wait for long."""
    monkeypatch.setattr(leases, "_POLL_SECONDS", 0.05)
    monkeypatch.setattr(leases, "EXPIRY_SECONDS", 1.0)
    path = to_path(object_store.url("folder"))
    assert is_remote(path)
    yield path
    for lease in _leased.values():
        lease.release()
    _leased.clear()


#: Seconds within which a process that waits for no lease takes one on a busy machine: less than the minute of a lease.
SOON = 45.0


def elsewhere(beat: int = 0, *, released: bool = False) -> bytes:
    """Bytes of a lease whose process is on another machine."""
    body = {"host": "other", "machine": "other", "process": 1, "started": "1", "lease": "1", "beat": beat}
    return json.dumps({**body, "released": released}).encode()


def bodies(place: AnyPath) -> list[dict[str, object]]:
    return [read_json(path) for path in listed(place)]


def take(place: AnyPath) -> float:
    """Be the holder for a moment; returns how many seconds that had to be waited for."""
    since = time.monotonic()
    with lock_folder(place):
        return time.monotonic() - since


def test_the_lease_of_a_killed_holder_elsewhere_expires(folder: UPath, monkeypatch: pytest.MonkeyPatch) -> None:
    put_bytes(folder / ".lock" / "0000000007", elsewhere())
    with monkeypatch.context() as patience:
        patience.setattr(leases, "EXPIRY_SECONDS", 60.0)
        assert storage_at(folder).is_locked(folder)
    assert 1 < take(folder) < SOON
    assert [path.name for path in listed(folder / ".lock")] == ["0000000008"]
    put_bytes(folder / ".lock" / "0000000009", elsewhere(released=True))
    assert not storage_at(folder).is_locked(folder)
    monkeypatch.setattr(leases, "EXPIRY_SECONDS", 60.0)
    assert take(folder) < SOON


def test_a_lease_renewed_elsewhere_is_waited_for(folder: UPath, object_store: ObjectStore, gateway: Gateway) -> None:
    # Past the gateway, which waits for it.
    lease = UPath(f"{folder}/.lock/0000000001", endpoint_url=object_store.address, skip_instance_cache=True)
    put_bytes(lease, elsewhere())
    # Not by the clock, which goes on where a renewal is late: it is renewed just before each of 30 looks. After some 20
    # that find nothing new a lease is over.
    looks = count(1)

    def renew(request: Request) -> Outcome:
        if request.kind == "GET" and (look := next(looks)) <= 30:
            put_bytes(lease, elsewhere(look))
        return Outcome.PASSED

    gateway.decide(renew)
    take(to_path(str(folder)))
    assert next(looks) > 30


def test_a_holder_renews_its_lease(folder: UPath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "RENEWAL_SECONDS", 0.05)
    monkeypatch.setattr(leases, "EXPIRY_SECONDS", 60.0)
    with lock_folder(folder):
        [first] = bodies(folder / ".lock")
        until(lambda: bodies(folder / ".lock")[0]["beat"] != first["beat"])
        [later] = bodies(folder / ".lock")
        assert storage_at(folder).is_locked(folder)
    assert first["lease"] == later["lease"]
    assert int(f"{later['beat']}") > int(f"{first['beat']}")
    [ended] = bodies(folder / ".lock")
    assert ended["released"]
    assert not storage_at(folder).is_locked(folder)


def test_time_without_a_connection_expires_no_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(leases, "EXPIRY_SECONDS", 60.0)
    timer = leases._ExpiryTimer()

    def is_over_at(seconds: float) -> bool:
        clock[0] = seconds
        return timer.is_expired(b"as before")

    assert not any(map(is_over_at, (0.0, 1.0, 1000.0, 1001.0)))
    assert 1050 < next(seconds for seconds in range(1002, 1100) if is_over_at(seconds)) < 1065


def test_a_late_creator_of_a_number_removes_it(folder: UPath) -> None:
    place = folder / ".lock"
    put_bytes(place / "0000000005", elsewhere())
    assert leases._create_next(place, 3) is None
    assert [path.name for path in listed(place)] == ["0000000005"]


def test_a_lost_answer_does_not_lose_a_lease(folder: UPath, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "EXPIRY_SECONDS", 60.0)
    gateway.spoil("PUT", Outcome.ANSWER_LOST)
    place = to_path(str(folder))
    assert take(place) < SOON
    assert not storage_at(place).is_locked(place)


def test_a_release_without_a_connection_ends_in_time_and_raises_nothing(
    folder: UPath, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "_RELEASE_TIMEOUT", 0.3)
    with lock_folder(to_path(str(folder))):
        gateway.decide(lambda _: Outcome.HUNG_UP)
        since = time.monotonic()
    # The library's own attempts take half a minute.
    assert time.monotonic() - since < 15
    gateway.decide(lambda _: Outcome.PASSED)
    assert take(to_path(str(folder))) > 0.9


def test_a_lock_costs_few_requests(folder: UPath, gateway: Gateway) -> None:
    place = to_path(str(folder))
    with gateway.counting() as first:
        take(place)
    assert first == {"LIST": 2, "PUT": 2}
    with gateway.counting() as later:
        take(place)
    assert later == {"LIST": 2, "GET": 1, "PUT": 2, "DELETE": 1}
    with gateway.counting() as asked:
        assert not storage_at(place).is_locked(place)
    assert asked == {"LIST": 1, "GET": 1}


def test_an_object_that_is_no_lease_counts_as_released(folder: UPath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "EXPIRY_SECONDS", 60.0)
    for data in (b"", b"null", b"{}", b"\xff", b'{"machine": "other", "process": "x", "started": "1"}'):
        put_bytes(folder / ".lock" / "0000000001", data)
        assert not storage_at(folder).is_locked(folder)
        assert take(folder) < SOON


def test_a_worker_that_is_forked_leaves_the_leases_of_its_parent(folder: UPath) -> None:
    assert run([sys.executable, "-c", FORKER, folder]).output == "0 True 1\n"
    assert listed(folder / ".running") == []
    assert [body["released"] for body in bodies(folder / "run")] == [True]


def test_a_process_that_ends_releases_its_leases_by_the_name_of_the_store(
    folder: UPath, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://localhost:{object_store.port}")
    assert run([sys.executable, "-c", ENDING, folder]).code == 0
    assert listed(folder / ".running") == []


def test_runs_are_registered_and_a_collection_removes_killed_ones(folder: UPath) -> None:
    storage_at(folder).lock_shared(folder)
    with started(SHARER, folder) as sharer:
        assert len(listed(folder / ".running")) == 2
        sharer.send_signal(signal.SIGKILL)
        sharer.wait(TIMEOUT)
    with storage_at(folder).lock_root(folder):
        assert len(listed(folder / ".running")) == 1


def test_a_run_elsewhere_blocks_collection_until_it_expires(folder: UPath, monkeypatch: pytest.MonkeyPatch) -> None:
    other = folder / ".running" / "0123456789abcdef"
    put_bytes(other, elsewhere())
    with monkeypatch.context() as patience:
        patience.setattr(leases, "EXPIRY_SECONDS", 60.0)
        with pytest.raises(StoreError, match="A run is under way"), storage_at(folder).lock_root(folder):
            pytest.fail("It is not alone.")
    # A store's times are whole seconds.
    time.sleep(2.1)
    with storage_at(folder).lock_root(folder):
        assert listed(folder / ".running") == []


def test_a_run_reports_that_it_waits_for_a_collection(folder: UPath) -> None:
    with storage_at(folder).lock_root(folder), started(waiting(SHARER), folder) as sharer:
        assert read_line(sharer) == f"Another process collects in {folder}; waiting until it has ended.\n"


def test_a_lease_that_ended_is_not_renewed(folder: UPath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "RENEWAL_SECONDS", 0.02)
    lease, _ = acquire(folder, None)
    with pytest.raises(BlockingIOError):
        acquire(folder, None)
    lease.release()
    time.sleep(0.1)
    assert [body["released"] for body in bodies(folder)] == [True]
    registered = leases.register(folder / "runs")
    registered.release()
    time.sleep(0.1)
    assert listed(folder / "runs") == []
