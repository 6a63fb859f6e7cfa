"""Files on an object store: few requests, lost answers, refusals, and local copies."""

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from upath import UPath

from tasks.errors import MachineError
from tasks.paths import AnyPath, is_remote, to_path
from tasks.storage import object_store
from tasks.storage.files import is_there, listed, local, publish_bytes, publish_json, read_json, storage_at
from tasks.storage.removal import measure
from tasks.storage.survey import DiskUsage
from tasks.storage.tempfiles import scratch
from tests.storage.folders import names, publish_two
from tests.support.processes import run
from tests.support.servers.gateway import Gateway, Outcome
from tests.support.servers.object_store import ObjectStore

FORKED = """
import sys
from multiprocessing import get_context
from tasks.paths import to_path
from tasks.storage.files import local, publish_json, read_json
from tasks.storage.tempfiles import scratch

def work():
    root = to_path(sys.argv[1])
    assert read_json(root / "of_parent.json") == 1
    assert read_json(local(root / "of_parent.json")) == 1
    publish_json(root / "of_child.json", 2)

publish_json(to_path(sys.argv[1]) / "of_parent.json", 1)
ours = local(to_path(sys.argv[1]) / "of_parent.json")
child = get_context("fork").Process(target=work)
child.start()
child.join()
print(child.exitcode, read_json(ours), read_json(to_path(sys.argv[1]) / "of_child.json"), len([*scratch().iterdir()]))
"""


@pytest.fixture
def watched(gateway: Gateway, far: AnyPath) -> UPath:
    """A folder behind the gateway."""
    assert gateway
    path = to_path(str(far))
    assert is_remote(path)
    return path


def test_a_folder_is_complete_once_its_mark_exists(impatient: ObjectStore, watched: UPath, gateway: Gateway) -> None:
    assert impatient
    gateway.decide(lambda request: Outcome.HUNG_UP if request.key.endswith(".whole") else Outcome.PASSED)
    with pytest.raises(Exception, match="Connection was closed"):
        publish_two(watched / "it")
    gateway.decide(lambda _: Outcome.PASSED)
    assert not is_there(watched / "it")
    publish_two(watched / "it")
    assert is_there(watched / "it")
    assert measure(watched / "it") == DiskUsage(2, 3)
    here = local(watched / "it")
    assert [(here / name).read_bytes() for name in ("below/one", "two")] == [b"1", b"22"]


def test_an_unchanged_object_is_fetched_once(watched: UPath, gateway: Gateway) -> None:
    publish_json(watched / "it.json", 1)
    publish_two(watched / "folder")
    with gateway.counting() as first:
        copies = local(watched / "it.json"), local(watched / "folder")
    assert first == {"HEAD": 2, "LIST": 2, "GET": 3}
    with gateway.counting() as again:
        assert (local(watched / "it.json"), local(watched / "folder")) == copies
    assert again == {"HEAD": 2, "LIST": 2}
    publish_json(watched / "it.json", 2)
    assert read_json(local(watched / "it.json")) == 2
    assert read_json(copies[0]) == 1


def test_workers_that_are_forked_reach_the_store_and_clear_up_after_themselves(far: AnyPath) -> None:
    assert run([sys.executable, "-c", FORKED, far]).output == "0 1 2 1\n"
    assert not list(scratch().iterdir())


def test_one_of_many_concurrent_creators_of_an_object_succeeds(far: AnyPath) -> None:
    assert is_remote(far)
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda number: object_store.create(far, b"%d" % number), range(8)))
    assert done.count(True) == 1
    assert far.read_bytes() == b"%d" % done.index(True)


def test_the_creator_of_an_object_is_known_though_the_answer_was_lost(watched: UPath, gateway: Gateway) -> None:
    gateway.spoil("PUT", Outcome.ANSWER_LOST)
    assert object_store.create(watched / "it", b"ours")
    gateway.spoil("PUT", Outcome.ANSWER_LOST)
    assert not object_store.create(watched / "it", b"another")
    assert (watched / "it").read_bytes() == b"ours"


def test_an_answer_that_breaks_off_is_asked_for_again(watched: UPath, gateway: Gateway) -> None:
    text = "a" * 100_000
    publish_json(watched / "it.json", text)
    for outcome in (Outcome.CUT_OFF, Outcome.HUNG_UP, Outcome.REFUSED):
        gateway.spoil("GET", outcome)
        assert read_json(watched / "it.json") == text
    gateway.spoil("GET", Outcome.CUT_OFF)
    assert read_json(local(watched / "it.json")) == text


def test_frequent_uses_take_few_requests(watched: UPath, gateway: Gateway) -> None:
    publish_json(watched / "it.json", 1)
    publish_two(watched / "folder")
    new = watched / "new"
    uses: list[tuple[Callable[[], object], dict[str, int]]] = [
        (lambda: publish_json(watched / "it.json", 2), {"PUT": 1}),
        (lambda: read_json(watched / "it.json"), {"GET": 1}),
        ((watched / "it.json").exists, {"HEAD": 1}),
        ((watched / "missing").exists, {"HEAD": 1, "LIST": 1}),
        (lambda: is_there(watched / "folder"), {"HEAD": 1}),
        (lambda: listed(watched, "*.json"), {"LIST": 1}),
        (lambda: object_store.create(new, b""), {"PUT": 1}),
        (lambda: storage_at(watched).remove_files([watched / "it.json"]), {"DELETE": 1}),
    ]
    for use, takes in uses:
        with gateway.counting() as counted:
            use()
        assert counted == takes


def test_scratch_of_another_user_is_not_trusted(far: AnyPath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(MachineError, match=r"belongs to another user\. Set TMPDIR"):
        publish_json(far / "it.json", 1)


def test_many_objects_are_removed_in_few_requests_with_errors_reported(watched: UPath, gateway: Gateway) -> None:
    files = [watched / f"{number}" for number in range(50)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda file: publish_bytes(file, b"it"), files))
    gateway.decide(lambda request: Outcome.FORBIDDEN if request.kind in {"DELETE", "POST"} else Outcome.PASSED)
    for some in (files[:2], files):
        with pytest.raises(PermissionError):
            storage_at(watched).remove_files(some)
    gateway.decide(lambda _: Outcome.PASSED)
    storage_at(watched).remove_files(files)
    assert names(watched) == []
