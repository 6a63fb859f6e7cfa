"""Files and folders on an object store: there whole or not at all, fetched once, moved and removed as on a disk."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tasks.errors import MachineError
from tasks.keys import file_sha256
from tasks.paths import AnyPath, is_remote, to_path
from tasks.storage import object_store
from tasks.storage.files import (
    is_there,
    listed,
    local,
    move,
    publish_bytes,
    publish_folder,
    publish_json,
    read_json,
    remove_files,
    sweep,
)
from tasks.storage.protocol import DiskUsage
from tasks.storage.removal import measure
from tasks.storage.tempfiles import scratch
from tests.storage.processes import started
from tests.support.processes import TIMEOUT
from tests.support.servers.gateway import Fate, Gateway
from tests.support.servers.object_store import ObjectStore

WRITER = """
import sys
from tasks.storage.files import publish_folder, publishing, sweep
from tasks.paths import to_path

publish = {"file": publishing, "folder": publish_folder}[sys.argv[1]]
with publish(to_path(sys.argv[2])) as temporary:
    (temporary / "half" if temporary.is_dir() else temporary).write_bytes(b"half")
    print("ready", flush=True)
    sys.stdin.readline()
"""

FORKED = """
import sys
from multiprocessing import get_context
from tasks.storage.tempfiles import scratch
from tasks.storage.files import local, publish_json, read_json
from tasks.paths import to_path

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
print(child.exitcode, read_json(ours), read_json(to_path(sys.argv[1]) / "of_child.json"))
print(len(list(scratch().iterdir())))
"""


@pytest.fixture
def root(object_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AnyPath:
    """A folder of a store, of which nothing is there; its name has signs that mean others to a store's library."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tasks.storage.tempfiles._own", {})
    return to_path(object_store.url("[1] a*b?"))


@pytest.fixture
def far(gateway: Gateway, root: AnyPath) -> AnyPath:
    """The same behind the gateway."""
    assert gateway
    return to_path(str(root))


def names(folder: AnyPath) -> list[str]:
    return [path.name for path in listed(folder)]


def publish_two(folder: AnyPath) -> None:
    """Publish a folder of two files, one of them a level down."""
    with publish_folder(folder) as temporary:
        (temporary / "below").mkdir()
        (temporary / "below" / "one").write_bytes(b"1")
        (temporary / "two").write_bytes(b"22")


def test_what_is_published_is_there_with_its_bytes_and_takes_the_place_of_what_was(root: AnyPath) -> None:
    for data in (b"", b"old", os.urandom(200_000)):
        publish_bytes(root / "it", data)
        assert (root / "it").read_bytes() == data
    assert names(root) == ["it"]
    assert file_sha256(root / "it") == file_sha256(local(root / "it"))


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_a_killed_writer_was_at_is_not_there_and_its_scratch_is_swept(root: AnyPath, kind: str) -> None:
    with started(WRITER, kind, root / "it") as writer:
        writer.send_signal(signal.SIGKILL)
        writer.wait(TIMEOUT)
    assert names(root) == []
    assert not is_there(root / "it")
    assert [sweep(root), sweep(root)] == [1, 0]
    assert not list(scratch().iterdir())


def test_a_block_that_fails_publishes_nothing_and_leaves_no_scratch(root: AnyPath) -> None:
    with pytest.raises(ZeroDivisionError), publish_folder(root / "it") as temporary:
        (temporary / "half").write_bytes(bytes([1 // 0]))
    assert names(root) == []
    assert not list(scratch().iterdir())


def test_a_folder_is_there_once_all_of_it_is(impatient: ObjectStore, far: AnyPath, gateway: Gateway) -> None:
    assert impatient
    gateway.decide(lambda request: Fate.HUNG_UP if request.key.endswith(".whole") else Fate.PASSED)
    with pytest.raises(Exception, match="Connection was closed"):
        publish_two(far / "it")
    gateway.decide(lambda _: Fate.PASSED)
    assert not is_there(far / "it")
    publish_two(far / "it")
    publish_two(far / "it")
    assert is_there(far / "it")
    assert measure(far / "it") == DiskUsage(2, 3)
    here = local(far / "it")
    assert [(here / name).read_bytes() for name in ("below/one", "two")] == [b"1", b"22"]


def test_what_is_fetched_is_fetched_once_for_as_long_as_it_stays_the_same(far: AnyPath, gateway: Gateway) -> None:
    publish_json(far / "it.json", 1)
    publish_two(far / "folder")
    with gateway.counting() as first:
        copies = local(far / "it.json"), local(far / "folder")
    assert first == {"HEAD": 2, "LIST": 2, "GET": 3}
    with gateway.counting() as again:
        assert (local(far / "it.json"), local(far / "folder")) == copies
    assert again == {"HEAD": 2, "LIST": 2}
    publish_json(far / "it.json", 2)
    assert read_json(local(far / "it.json")) == 2
    assert read_json(copies[0]) == 1


def test_what_is_not_there_is_not_found(root: AnyPath) -> None:
    for use in (local, read_json, file_sha256):
        with pytest.raises(FileNotFoundError):
            use(root / "it.json")
    assert names(root / "it") == []
    assert measure(root) == DiskUsage(0, 0)
    remove_files([root / "it.json", root / "other.json"])


def test_workers_that_are_forked_reach_the_store_and_clear_up_after_themselves(root: AnyPath) -> None:
    script = [sys.executable, "-c", FORKED, str(root)]
    assert subprocess.check_output(script, text=True).split() == ["0", "1", "2", "1"]
    assert not list(scratch().iterdir())


def test_of_many_who_create_an_object_at_once_one_does(root: AnyPath) -> None:
    assert is_remote(root)
    for turn in range(3):
        place = root / f"lock-{turn}"
        with ThreadPoolExecutor(8) as pool:
            done = list(pool.map(lambda number, place=place: object_store.create(place, b"%d" % number), range(8)))
        assert done.count(True) == 1
        assert place.read_bytes() == b"%d" % done.index(True)


def test_who_has_created_an_object_knows_though_the_answer_was_lost(far: AnyPath, gateway: Gateway) -> None:
    assert is_remote(far)
    gateway.spoil("PUT", Fate.ANSWER_LOST)
    assert object_store.create(far / "it", b"ours")
    gateway.spoil("PUT", Fate.ANSWER_LOST)
    assert not object_store.create(far / "it", b"another")
    assert (far / "it").read_bytes() == b"ours"


def test_an_answer_that_breaks_off_is_asked_for_again(far: AnyPath, gateway: Gateway) -> None:
    text = "a" * 100_000
    publish_json(far / "it.json", text)
    for fate in (Fate.CUT_OFF, Fate.HUNG_UP, Fate.REFUSED):
        gateway.spoil("GET", fate)
        assert read_json(far / "it.json") == text
    gateway.spoil("GET", Fate.CUT_OFF)
    assert read_json(local(far / "it.json")) == text


def test_what_is_asked_for_all_the_time_takes_few_requests(far: AnyPath, gateway: Gateway) -> None:
    publish_json(far / "it.json", 1)
    publish_two(far / "folder")
    assert is_remote(far)
    new = far / "new"
    uses: list[tuple[Callable[[], object], dict[str, int]]] = [
        (lambda: publish_json(far / "it.json", 2), {"PUT": 1}),
        (lambda: read_json(far / "it.json"), {"GET": 1}),
        ((far / "it.json").exists, {"HEAD": 1}),
        ((far / "missing").exists, {"HEAD": 1, "LIST": 1}),
        (lambda: is_there(far / "folder"), {"HEAD": 1}),
        (lambda: listed(far, "*.json"), {"LIST": 1}),
        (lambda: object_store.create(new, b""), {"PUT": 1}),
        (lambda: remove_files([far / "it.json"]), {"DELETE": 1}),
    ]
    for use, takes in uses:
        with gateway.counting() as counted:
            use()
        assert counted == takes


def test_what_is_moved_or_removed_is_that_and_nothing_beside_it(root: AnyPath) -> None:
    signs = "[1]*?"
    for name in (signs, "1", "plain2"):
        publish_bytes(root / "files" / name, name.encode())
        publish_two(root / "folders" / name)
    move(root / "files" / signs, root / "files" / "damaged" / signs)
    move(root / "folders" / signs, root / "damaged" / signs)
    assert (root / "files" / "damaged" / signs).read_bytes() == signs.encode()
    assert measure(root / "damaged" / signs) == DiskUsage(2, 3)
    assert names(root / "files") == ["1", "damaged", "plain2"]
    assert [measure(root / "folders" / name).files for name in (signs, "1", "plain2")] == [0, 2, 2]
    assert [is_there(root / "folders" / name) for name in (signs, "1", "plain2")] == [False, True, True]
    remove_files([root / "files" / "damaged" / signs])
    object_store.remove_below(root / "damaged" / signs) if is_remote(root) else None
    assert measure(root / "damaged") == DiskUsage(0, 0)
    assert measure(root / "files") == DiskUsage(2, len("1plain2"))


def test_scratch_of_another_user_is_not_trusted(root: AnyPath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(MachineError, match=r"belongs to another user\. Set TMPDIR"):
        publish_json(root / "it.json", 1)


def test_many_objects_are_removed_in_few_requests_and_never_in_silence(far: AnyPath, gateway: Gateway) -> None:
    files = [far / f"{number}" for number in range(50)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda file: publish_bytes(file, b"it"), files))
    gateway.decide(lambda request: Fate.FORBIDDEN if request.kind in {"DELETE", "POST"} else Fate.PASSED)
    for some in (files[:2], files):
        with pytest.raises(PermissionError):
            remove_files(some)
    gateway.decide(lambda _: Fate.PASSED)
    remove_files(files)
    assert names(far) == []
