"""Contract of the locks: one process at a time, here and on an object store, and none outlives its holder."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tasks.errors import StoreError
from tasks.paths import AnyPath
from tasks.storage import lease_locks
from tasks.storage.files import lock_folder, storage_at
from tests.storage.processes import HOLDER, MOMENT, PATH, SHARER, finish, started, waiting
from tests.support.processes import TIMEOUT, read_line, write_line

FOLDER_HOLDER = f"""{PATH}
with lock_folder(path):
    print("ready", flush=True)
    sys.stdin.readline()
"""

#: Locks a folder, or a file until its exit, and fails if another process is inside.
TAKER = f"""{PATH}
from tasks.storage import leases

leases._POLL_SECONDS = 0.05
print("ready", flush=True)
sys.stdin.readline()
for _ in range(5 if sys.argv[3] == "folder" else 1):
    if sys.argv[3] == "file":
        storage_at(path).lock_until_exit(path, "it")
        os.mkdir(sys.argv[2])
        os.rmdir(sys.argv[2])
    else:
        with lock_folder(path):
            os.mkdir(sys.argv[2])
            os.rmdir(sys.argv[2])
"""


def is_inside(waiter: subprocess.Popen[str], within_s: float = TIMEOUT) -> bool:
    """Whether it comes in; before, it may say that it waits."""
    while (line := read_line(waiter, within_s)).startswith("Another process "):
        pass
    return line == "inside\n"


@pytest.fixture(autouse=True)
def _released() -> Iterator[None]:
    """Give back the leases that this process holds until exit."""
    yield
    for lease in lease_locks._leased.values():
        lease.release()
    lease_locks._leased.clear()


def test_one_process_holds_a_run_and_the_next_one_reports_that_it_waits(folder: AnyPath) -> None:
    lock = folder / "runs" / "flowers" / ".2026-01-31.lock"
    with started(HOLDER, lock) as holder, started(waiting(HOLDER), lock) as waiter:
        message = "Another process is at the run of flowers for today; waiting until it has ended.\n"
        assert read_line(waiter) == message
        assert read_line(waiter, MOMENT) == ""
        assert finish(holder) == "False False\n"
        assert read_line(waiter) == "inside\n"
        assert finish(waiter) == "True False\n"
    assert not Path(str(lock)).exists()


def test_a_lock_whose_holder_was_killed_locks_nothing_and_its_file_goes_with_the_next_holder(folder: AnyPath) -> None:
    lock = folder / "run.lock"
    with started(HOLDER, lock) as holder:
        holder.send_signal(signal.SIGKILL)
        # Its parent has not looked yet that it has ended.
        with started(HOLDER, lock) as next_one:
            assert Path(str(lock)).exists() == storage_at(folder).has_folders
            assert finish(next_one) == "False False\n"
    assert not Path(str(lock)).exists()


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_one_of_many_concurrent_processes_holds_the_lock(folder: AnyPath, tmp_path: Path, kind: str) -> None:
    with ExitStack() as stack:
        arguments = TAKER, folder / "it", tmp_path / "inside", kind
        takers = [stack.enter_context(started(*arguments)) for _ in range(3)]
        for taker in takers:
            write_line(taker)
        assert [taker.wait(TIMEOUT) for taker in takers] == [0, 0, 0]
    assert not Path(str(folder), "it").is_file()


def test_a_folder_made_for_a_lock_alone_goes_with_it(tmp_path: Path) -> None:
    for name in ("empty", "used"):
        lock = tmp_path / name / "runs" / "run.lock"
        with started(HOLDER, lock) as holder:
            if name == "used":
                (lock.parent / "record.json").touch()
            finish(holder)
    assert [path.name for path in tmp_path.iterdir()] == ["used"]


def test_another_folder_is_free_and_an_exception_lets_the_next_one_in(folder: AnyPath) -> None:
    with suppress(ZeroDivisionError), lock_folder(folder / "one"):
        raise ZeroDivisionError
    with lock_folder(folder / "other"), started(waiting(FOLDER_HOLDER), folder / "one") as waiter:
        assert is_inside(waiter)


def test_a_folder_is_locked_while_its_holder_lives_and_the_next_process_waits_for_its_end(folder: AnyPath) -> None:
    head = folder / "head"
    assert not storage_at(head).is_locked(head)
    assert not head.exists()
    with started(FOLDER_HOLDER, head) as holder, started(waiting(FOLDER_HOLDER), head) as waiter:
        assert not is_inside(waiter, MOMENT)
        # Asking changes nothing.
        assert storage_at(head).is_locked(head)
        assert storage_at(head).is_locked(head)
        holder.send_signal(signal.SIGKILL)
        assert is_inside(waiter)
    # The waiter was killed too.
    assert not storage_at(head).is_locked(head)
    with lock_folder(head):
        assert storage_at(head).is_locked(head)
    assert not storage_at(head).is_locked(head)


def test_runs_share_a_data_root_and_exclude_its_exclusive_lock(folder: AnyPath) -> None:
    with started(SHARER, folder) as one, started(SHARER, folder) as other:
        for process in (one, other):
            with pytest.raises(StoreError, match="A run is under way"), storage_at(folder).lock_root(folder):
                pytest.fail("It is not alone.")
            process.send_signal(signal.SIGKILL)
            process.wait(TIMEOUT)
    with storage_at(folder).lock_root(folder):
        pass


def test_one_process_at_a_time_locks_a_data_root_exclusively_and_a_run_waits_for_it(folder: AnyPath) -> None:
    with ExitStack() as rest:
        with storage_at(folder).lock_root(folder):
            with pytest.raises(StoreError, match="A run is under way"), storage_at(folder).lock_root(folder):
                pytest.fail("It is not alone.")
            process = rest.enter_context(started(waiting(SHARER), folder))
            assert not is_inside(process, MOMENT)
        assert is_inside(process)


def test_locking_a_missing_data_root_does_not_make_it(tmp_path: Path) -> None:
    storage_at(tmp_path).lock_shared(tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_a_shared_lock_of_a_data_root_is_upgraded_and_downgraded_again(folder: AnyPath) -> None:
    script = f"""{PATH}
storage_at(path).lock_shared(path)
with storage_at(path).lock_root(path):
    pass
print("ready", flush=True)
sys.stdin.readline()
try:
    with storage_at(path).lock_root(path):
        print("alone", flush=True)
except Exception as exc:
    print(type(exc).__name__, flush=True)
sys.stdin.readline()
"""
    with started(script, folder) as process:
        with started(SHARER, folder) as other:
            write_line(process)
            assert read_line(process) == "StoreError\n"
            other.kill()
            other.wait(TIMEOUT)
        # It was refused, but it has not lost its own share.
        with pytest.raises(StoreError, match="A run is under way"), storage_at(folder).lock_root(folder):
            pass
