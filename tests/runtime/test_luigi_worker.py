"""Workers that cooperate through a real `luigid`: they take turns, wait, take over, and exit with 0."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import luigi
import pytest

from tasks.errors import DatasetError
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.run_context import RunContext
from tasks.shards.manifests import StageResult
from tasks.stage import RunStageTask
from tests.support.processes import until
from tests.support.servers.luigid import Luigid, Machine, luigid

pytestmark = pytest.mark.slow

#: Builds the words of a command that runs `Compute`: of its name and further options.
Words = Callable[..., list[str]]
GPU_BUSY = "Other workers use what the next stage needs, such as this machine's GPUs; waiting for them."


class Compute(RunStageTask):
    """A stage that holds the GPU until the file `go` exists."""

    which: luigi.Parameter[str] = luigi.Parameter(description="Name of the task.")
    card: luigi.Parameter[str] = luigi.Parameter(
        significant=False, default="card", description="Folder that stands for the GPU."
    )
    outcome: luigi.Parameter[str] = luigi.Parameter(significant=False, default="waits", description="Waits, or fails.")

    stage = "compute"
    on_gpus = True

    def manifest_path(self) -> AnyPath:
        return self.root.path / self.which / "manifest.json"

    def work(self, progress: Progress) -> StageResult:  # noqa: ARG002 (it reports none)
        """Hold the GPU, which is a folder that must not exist yet."""
        root = Path(self.context.data_root)
        if self.outcome == "fails":
            raise DatasetError("There are no photos. Add some.")
        (root / self.card).mkdir()
        until((root / "go").exists)
        # Time for another task to start.
        time.sleep(0.5)
        (root / self.card).rmdir()
        return StageResult("cafe", "beef", {}, 1, 1, 0)


class ComputeBoth(luigi.WrapperTask):
    """Two stages that are independent of each other."""

    data_root: luigi.Parameter[str] = luigi.Parameter(description="The data root.")

    def requires(self) -> list[luigi.Task]:
        return [Compute(context=RunContext(self.data_root), which=name) for name in ("one", "other")]


#: Seconds that no test takes.
HOUR = 3600
#: Seconds after which luigid takes a worker for lost; a living one pings it every second.
LOST_AFTER = 5


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[Luigid]:
    """A luigid that takes no worker for lost and no finished task for undone, until a test changes its settings."""
    settings = {"worker_disconnect_delay": HOUR, "stable_done_cooldown_secs": HOUR}
    with luigid(tmp_path / "luigid", **settings) as scheduler:
        yield scheduler


@pytest.fixture
def compute(tmp_path: Path) -> Words:
    """Build the words of a command that runs `Compute`."""

    def words(name: str, **options: str) -> list[str]:
        given = [word for option, value in options.items() for word in (f"--{option}", value)]
        context = json.dumps({"data_root": str(tmp_path)})
        return ["--module", __name__, "Compute", "--context", context, "--which", name, *given]

    return words


def test_two_commands_take_turns_at_the_gpu_of_one_machine_and_another_machine_does_not_wait(
    compute: Words, tmp_path: Path, scheduler: Luigid
) -> None:
    here, there = (Machine(name, tmp_path, scheduler.port, gpus=1) for name in ("here", "there"))
    with here.start(*compute("first")) as first:
        until((tmp_path / "card").exists)
        with here.start(*compute("second")) as second, there.start(*compute("third", card="another")) as third:
            second.says(GPU_BUSY)
            until((tmp_path / "another").exists)
            (tmp_path / "go").touch()
            assert [command.end() for command in (first, second, third)] == [0, 0, 0], second.said()
    assert second.said().count(GPU_BUSY) == 1
    assert third.said().startswith("compute ")


@pytest.mark.parametrize(("gpus", "code"), [(1, 0), (0, 30)])
def test_two_workers_of_one_command_take_turns_only_if_there_is_a_gpu(tmp_path: Path, gpus: int, code: int) -> None:
    words = ["--module", __name__, "ComputeBoth", "--data-root", str(tmp_path), "--workers", "2"]
    with Machine("here", tmp_path, None, gpus=gpus).start(*words) as both:
        if not gpus:
            # Without a GPU they run at the same time.
            both.says("FileExistsError")
        (tmp_path / "go").touch()
        assert both.end() == code, both.said()


def test_command_waits_for_the_same_task_of_another_machine(compute: Words, tmp_path: Path, scheduler: Luigid) -> None:
    here, there = (Machine(name, tmp_path, scheduler.port) for name in ("here", "there"))
    with here.start(*compute("it")) as first:
        until((tmp_path / "card").exists)
        with there.start(*compute("it")) as second:
            second.says("here is running compute; waiting until it has ended.\n")
            (tmp_path / "go").touch()
            assert [command.end() for command in (first, second)] == [0, 0], second.said()
    assert second.said() == "here is running compute; waiting until it has ended.\n"


def test_command_takes_over_the_task_of_a_killed_machine(compute: Words, tmp_path: Path, scheduler: Luigid) -> None:
    here, there = (Machine(name, tmp_path, scheduler.port) for name in ("here", "there"))
    with here.start(*compute("it")) as first:
        until((tmp_path / "card").exists)
        with there.start(*compute("it", card="another")) as second:
            second.says("here is running compute")
            first.kill()
            scheduler.change("worker_disconnect_delay", LOST_AFTER)
            (tmp_path / "go").touch()
            assert second.end() == 0, second.said()
    assert [line.split(" ")[0] for line in second.said().splitlines()] == ["here", "compute"]


def test_failed_task_is_reported_once(compute: Words, tmp_path: Path, scheduler: Luigid) -> None:
    with Machine("here", tmp_path, scheduler.port).start(*compute("it", outcome="fails")) as command:
        assert command.end() == 52
    assert command.said() == "ERROR: There are no photos. Add some.\n"


def test_task_done_just_now_can_run_again(compute: Words, tmp_path: Path, scheduler: Luigid) -> None:
    (tmp_path / "go").touch()
    here, there = (Machine(name, tmp_path, scheduler.port) for name in ("here", "there"))
    with here.start(*compute("it")) as first:
        assert first.end() == 0, first.said()
    (tmp_path / "it" / "manifest.json").unlink()
    with there.start(*compute("it")) as second:
        second.says("luigid still lists")
        scheduler.change("stable_done_cooldown_secs", 0)
        assert second.end() == 0, second.said()
    waited, done = second.said().splitlines()
    assert waited == "luigid still lists compute as done; waiting some seconds until it runs compute again."
    assert done.startswith("compute ")
