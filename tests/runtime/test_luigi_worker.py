"""Commands that a real `luigid` gives work to: what they share, wait for and take over, and how they end."""

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

CARD = "Others have what comes next, such as this machine's GPUs; waiting until they have ended."


class Compute(RunStageTask):
    """A stage that nothing else may compute beside, for as long as nobody lets it go on."""

    which: luigi.Parameter[str] = luigi.Parameter(description="Which one.")
    card: luigi.Parameter[str] = luigi.Parameter(significant=False, default="card", description="Folder of one GPU.")
    how: luigi.Parameter[str] = luigi.Parameter(significant=False, default="waits", description="It waits, or fails.")

    stage = "compute"
    on_gpus = True

    def manifest_path(self) -> AnyPath:
        """In the data root."""
        return self.root.path / self.which / "manifest.json"

    def work(self, progress: Progress) -> StageResult:  # noqa: ARG002 (it is too short to tell of any)
        """Be at the GPU."""
        root = Path(self.context.data_root)
        if self.how == "fails":
            raise DatasetError("There are no photos. Add some.")
        (root / self.card).mkdir()
        until((root / "go").exists)
        # Long enough for another one to begin meanwhile.
        time.sleep(0.5)
        (root / self.card).rmdir()
        return StageResult("cafe", "beef", {}, 1, 1, 0)


class ComputeBoth(luigi.WrapperTask):
    """Two of them that do not stand on each other."""

    data_root: luigi.Parameter[str] = luigi.Parameter(description="Folder of all.")

    def requires(self) -> list[luigi.Task]:
        """Both."""
        return [Compute(context=RunContext(self.data_root), which=name) for name in ("one", "other")]


#: Longer than any of these tests takes.
HOUR = 3600
#: Seconds after which one that was killed is missed; one that lives tells of itself each second.
MISSED = 5


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[Luigid]:
    """A luigid that misses no worker, and believes for long that what was done is done, until it is told otherwise."""
    settings = {"worker_disconnect_delay": HOUR, "stable_done_cooldown_secs": HOUR}
    with luigid(tmp_path / "luigid", **settings) as scheduler:
        yield scheduler


@pytest.fixture
def port(scheduler: Luigid) -> int:
    """Where it answers."""
    return scheduler.port


@pytest.fixture
def compute(tmp_path: Path) -> Callable[..., list[str]]:
    """The words of a command that computes."""

    def words(name: str, **options: str) -> list[str]:
        given = [word for option, value in options.items() for word in (f"--{option}", value)]
        context = json.dumps({"data_root": str(tmp_path)})
        return ["--module", __name__, "Compute", "--context", context, "--which", name, *given]

    return words


def test_two_commands_take_turns_at_the_gpu_of_a_machine_and_another_machine_does_not_wait(
    compute: Callable[..., list[str]], tmp_path: Path, port: int
) -> None:
    here, there = Machine("here", tmp_path, port, gpus=1), Machine("there", tmp_path, port, gpus=1)
    with here.start(*compute("first")) as first:
        until((tmp_path / "card").exists)
        with here.start(*compute("second")) as second, there.start(*compute("third", card="another")) as third:
            second.says(CARD)
            until((tmp_path / "another").exists)
            (tmp_path / "go").touch()
            assert [command.end() for command in (first, second, third)] == [0, 0, 0], second.said()
    assert second.said().count(CARD) == 1
    assert third.said().startswith("compute ")


@pytest.mark.parametrize(("gpus", "code"), [(1, 0), (0, 30)])
def test_two_workers_of_one_command_take_turns_at_a_gpu_and_share_what_is_none(
    tmp_path: Path, gpus: int, code: int
) -> None:
    words = ["--module", __name__, "ComputeBoth", "--data-root", str(tmp_path), "--workers", "2"]
    with Machine("here", tmp_path, None, gpus=gpus).start(*words) as both:
        if not gpus:
            # Where there is no GPU to wait for, they meet.
            both.says("FileExistsError")
        (tmp_path / "go").touch()
        assert both.end() == code, both.said()


def test_command_waits_for_another_machine_that_does_the_same_says_so_once_and_ends_well(
    compute: Callable[..., list[str]], tmp_path: Path, port: int
) -> None:
    here, there = Machine("here", tmp_path, port), Machine("there", tmp_path, port)
    with here.start(*compute("it")) as first:
        until((tmp_path / "card").exists)
        with there.start(*compute("it")) as second:
            second.says("here is at compute; waiting until it has ended.\n")
            (tmp_path / "go").touch()
            assert [command.end() for command in (first, second)] == [0, 0], second.said()
    assert second.said() == "here is at compute; waiting until it has ended.\n"


def test_command_takes_over_what_another_machine_was_killed_over(
    compute: Callable[..., list[str]], tmp_path: Path, scheduler: Luigid
) -> None:
    here, there = (Machine(name, tmp_path, scheduler.port) for name in ("here", "there"))
    with here.start(*compute("it")) as first:
        until((tmp_path / "card").exists)
        with there.start(*compute("it", card="another")) as second:
            second.says("here is at compute")
            first.kill()
            scheduler.change("worker_disconnect_delay", MISSED)
            (tmp_path / "go").touch()
            assert second.end() == 0, second.said()
    assert [line.split(" ")[0] for line in second.said().splitlines()] == ["here", "compute"]


def test_what_failed_is_told_once_and_not_tried_again(
    compute: Callable[..., list[str]], tmp_path: Path, port: int
) -> None:
    with Machine("here", tmp_path, port).start(*compute("it", how="fails")) as command:
        assert command.end() == 52
    assert command.said() == "ERROR: There are no photos. Add some.\n"


def test_what_was_done_a_moment_ago_and_is_to_be_done_again_is_done_again(
    compute: Callable[..., list[str]], tmp_path: Path, scheduler: Luigid
) -> None:
    (tmp_path / "go").touch()
    here, there = (Machine(name, tmp_path, scheduler.port) for name in ("here", "there"))
    with here.start(*compute("it")) as first:
        assert first.end() == 0, first.said()
    (tmp_path / "it" / "manifest.json").unlink()
    with there.start(*compute("it")) as second:
        second.says("luigid believes")
        scheduler.change("stable_done_cooldown_secs", 0)
        assert second.end() == 0, second.said()
    told, done = second.said().splitlines()
    assert told == "luigid believes for some seconds that compute is still done; waiting until it does not."
    assert done.startswith("compute ")
