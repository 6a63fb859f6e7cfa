"""Blocks on a real Ray: results come back, errors as they were raised, and nothing stays behind."""

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from multiprocessing import Pipe
from pathlib import Path

import psutil
import pyarrow as pa
import pytest

from tasks.cluster.actor import Job, Work
from tasks.cluster.addresses import Cluster
from tasks.cluster.client import ClusterConnection, connect
from tasks.cluster.resources import Node
from tasks.errors import MachineError
from tasks.progress import NullProgress
from tests.cluster.ray_nodes import nodes
from tests.cluster.works import Look, Seen
from tests.support.processes import assert_gone, descendants
from tests.support.progress import Tally

pytestmark = pytest.mark.slow

BLOCKS = [pa.table({"row": list(range(count))}) for count in (3, 1, 2)]


def find(processes: Iterable[psutil.Process], word: str) -> list[psutil.Process]:
    """Find the processes whose commands have a word."""
    found = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            if any(word in part for part in process.cmdline()):
                found.append(process)
    return found


def results(connection: ClusterConnection, root: Path, work: Work, most_cpus: int = 1) -> list[Seen]:
    pool = connection.choose_pool(most_cpus, 0, NullProgress())
    return list(connection.results(Job("decode", str(root), work), BLOCKS, pool))


def test_a_ray_of_this_machine_processes_all_blocks_and_is_gone_afterwards(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before, progress = descendants(os.getpid()), Tally()
    with connect(Cluster(cpus=2), progress) as connection:
        started = descendants(os.getpid()) - before
        assert find(started, "raylet")
        seen = results(connection, tmp_path, Look(), most_cpus=4)
    assert sorted(one.rows for one in seen) == [1, 2, 3]
    assert len({one.process for one in seen}) == 1, "one actor has both processors"
    assert sorted(one.opened for one in seen) == [1, 2, 3], "it keeps what it opened"
    assert {(one.cores, one.threads, one.main) for one in seen} == {(min(2, os.cpu_count() or 1), "2", None)}
    assert progress.prepared == ["cluster", "cluster"]
    assert_gone(started)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_nodes_without_this_project_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "only_here.py").write_text("class OwnWork:\n    def __call__(self, block):\n        return 1\n")
    with nodes(1) as ray_nodes:
        monkeypatch.syspath_prepend(tmp_path)
        from only_here import OwnWork  # type: ignore[import-not-found]  # noqa: PLC0415 (made a line above)

        expected = r"cannot begin the work \(.*only_here.*\)\. They need this project"
        with (
            pytest.raises(MachineError, match=expected),
            connect(Cluster(ray_nodes.address), NullProgress()) as connection,
        ):
            results(connection, tmp_path, OwnWork())


def test_a_ray_that_is_killed_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    before = descendants(os.getpid())
    with connect(Cluster(cpus=1), NullProgress()) as connection:
        started = descendants(os.getpid()) - before
        [driver] = find(started, "tasks.cluster.driver")
        driver.kill()
        assert_gone([driver])
        with pytest.raises(MachineError, match=r"The Ray of this machine is lost \(.+\)\. Published results are kept"):
            results(connection, tmp_path, Look())
    assert_gone(started)


def test_an_address_where_nothing_answers_is_an_error_at_once() -> None:
    started = time.monotonic()
    expected = r"At 127\.0\.0\.1:1 no Ray cluster can be used \(.*refused\)\. Start one with ray start, or correct"
    with pytest.raises(MachineError, match=expected), connect(Cluster("127.0.0.1:1"), NullProgress()):
        pass
    # Ray's own attempts take half a minute and longer.
    assert time.monotonic() - started < 20


def test_an_actor_that_no_node_has_room_for_waits_for_one_on_a_cluster_and_is_an_error_here() -> None:
    progress, (connection, _) = Tally(), Pipe()
    assert ClusterConnection(Cluster("there:1"), connection, [Node(8, 0)]).choose_pool(4, 1, progress).actors == 0
    [line] = progress.lines
    assert line.endswith("has room for an actor with 1 GPUs and a processor: waiting for one that has.")
    with pytest.raises(MachineError, match="finds no room on this machine for an actor with 1 GPUs and a processor"):
        ClusterConnection(Cluster(), connection, [Node(8, 0)]).choose_pool(4, 1, progress)
