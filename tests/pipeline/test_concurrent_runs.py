"""Runs at the same time over one data root, on one machine or several, also with a central scheduler."""

import json
import shutil
import signal
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.command import QUICK, Project, draw, words
from tests.pipeline.in_process import retrain_here
from tests.reliability.contents import contents, differences
from tests.reliability.store_trial import StoreTrial
from tests.reliability.trial import draw_old
from tests.storage.processes import HOLDER, started
from tests.support.processes import TIMEOUT, Command, background_command, until
from tests.support.servers.gateway import Gateway, Outcome, Request
from tests.support.servers.luigid import Machine, luigid
from tests.support.servers.object_store import ObjectStore

pytestmark = pytest.mark.slow

DATE, NEXT = "2026-01-31", "2026-02-01"
WAITS, AT_WORK, NOTHING, DONE = "Another process is at the run of", "decode ", "Nothing to do:", "Run record"
#: Seconds after which a machine that is gone holds nothing on the object store, and after which luigid misses it, once
#: it is gone: before, it misses no machine, however busy this one is.
LEASE, MISSED, NEVER = 3.0, 5.0, 3600.0
WATCHED_PHOTOS = 120
#: Two seconds of work, so that there is progress between start and end.
MUCH = {"image_size": "288", "views": "2", "flip_left_right": "", "distorted_views": "3"}
TASKS = (
    "PrepareBackbone TakeSnapshot DecodePhotos ExtractBottlenecks CompareNewPhotos TrainHead EvaluateHead "
    "ChooseChampion ServeChampion WriteReport RetrainFlowers"
)


@contextmanager
def starting(project: Project, *runs: Mapping[str, str]) -> Iterator[list[Command]]:
    """Start a RetrainFlowers for each of these options, in the background."""
    project.root.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as rest:
        commands = [words("RetrainFlowers", project.options(**options)) for options in runs]
        yield [rest.enter_context(background_command(command, project.root.parent)) for command in commands]


def waits(run: Command) -> bool:
    return WAITS in run.said()


def end(run: Command) -> str:
    assert run.end() == 0, run.said()
    return run.said()


def results(project: Project, *, champion: bool = False) -> dict[str, object]:
    """The contents of a data root without locks, and without the champion, which of two equal runs either may be."""
    found = contents(project.root).items()
    left_out = () if champion else ("champion/",)
    return {name: value for name, value in found if not name.startswith(left_out) and not name.endswith(".lock")}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, small: dict[str, str]) -> Project:
    """A run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("alone")
    project = Project(folder / "photos", folder / "data")
    draw_old(project.photos, range(30))
    assert DONE in project.retrain_forked(**small, date=DATE).output
    return project


def test_of_three_equal_commands_one_runs_and_another_takes_over_when_it_is_killed(
    alone: Project, tmp_path: Path, small: dict[str, str]
) -> None:
    project = Project(alone.photos, tmp_path / "data")
    with starting(project, *[{**small, "date": DATE}] * 3) as runs:
        until(lambda: any(AT_WORK in run.said() for run in runs))
        (first,) = [run for run in runs if AT_WORK in run.said()]
        # It stands still until the others wait for it, however late they start.
        first.process.send_signal(signal.SIGSTOP)
        until(lambda: sum(waits(run) for run in runs) == 2)
        assert not waits(first)
        first.kill()
        said = [end(run) for run in runs if run is not first]
    assert sorted((DONE in text, NOTHING in text) for text in said) == [(True, False), (True, True)]
    assert [text.count(WAITS) for text in said] == [1, 1]
    assert differences(contents(project.root), contents(alone.root)) == []


def test_runs_of_other_dates_parameters_and_datasets_have_the_results_of_one_after_the_other(
    alone: Project, tmp_path: Path, small: dict[str, str]
) -> None:
    one_by_one, at_once = Project(alone.photos, tmp_path / "a" / "data"), Project(alone.photos, tmp_path / "b" / "data")
    other_photos = tmp_path / "others"
    draw_old(other_photos, range(15, 40))
    runs = [
        {**small, "date": NEXT},
        {**small, "date": NEXT, "folds": "3"},
        {**small, "date": DATE, "dataset": str(other_photos)},
    ]
    for project in (one_by_one, at_once):
        shutil.copytree(alone.root, project.root)
    for options in runs:
        retrain_here(one_by_one, **{**options, "max_rejected": "0.05"})
    # The other photos need every stage, for which each of several workers would import TensorFlow.
    workers = [{"workers": "1" if "dataset" in options else "4", **options} for options in runs]
    (of_dataset,) = at_once.root.glob("runs/*")
    with started(HOLDER, of_dataset / f".{NEXT}.lock") as holder, starting(at_once, *workers) as commands:
        # The two of one date begin at the same moment, however late one of them starts.
        until(lambda: [waits(command) for command in commands[:2]] == [True, True])
        holder.kill()
        assert all(DONE in end(command) for command in commands)
        assert not waits(commands[2])
    assert differences(results(at_once), results(one_by_one)) == []
    assert results(at_once, champion=True).keys() == results(one_by_one, champion=True).keys()
    links = [(project.root / "index.html").read_text().count(" href=") for project in (at_once, one_by_one)]
    assert links[0] == links[1]


def test_the_run_of_a_killed_machine_is_ended_by_another_with_the_results_of_a_run_on_a_disk(
    object_store: ObjectStore, gateway: Gateway, tmp_path: Path, small: dict[str, str]
) -> None:
    """Both machines share a data root on an object store and one luigid."""
    alone = Project(tmp_path / "photos", tmp_path / "alone")
    draw_old(alone.photos, range(24))
    options = {**QUICK, **small, "max_rejected": "0.5", "date": DATE}
    retrain_here(alone, **options)

    trial = StoreTrial(tmp_path / "far", alone.photos, options, object_store.url("data"), gateway)
    retrain = words("RetrainFlowers", trial.given)[1:]
    awaited = threading.Event()

    with luigid(tmp_path / "luigid", worker_disconnect_delay=NEVER) as scheduler:
        one, other = (Machine(name, tmp_path, scheduler.port, lease=LEASE) for name in ("one", "other"))
        with one.start(*retrain) as killed:

            def outcome(request: Request) -> Outcome:
                """Hold bottlenecks back until the other machine waits; then kill the first one."""
                if killed.process.poll() is None and "bottleneck/" in request.key and "part-" in request.key:
                    if not awaited.is_set():
                        return Outcome.HELD
                    killed.kill()
                    return Outcome.HUNG_UP
                return Outcome.PASSED

            gateway.decide(outcome)
            killed.says("backbone ")
            with other.start(*retrain) as heir:
                heir.says("Another process is at the run of photos")
                awaited.set()
                until(lambda: killed.process.poll() is not None)
                scheduler.change("worker_disconnect_delay", MISSED)
                output = end(heir)
    assert killed.process.returncode < 0, killed.said()
    assert "one is running bottleneck; waiting until it has ended." in output
    repeated = [line.split(" ")[0] for line in output.splitlines() if " new " in line and " reused " in line]
    assert repeated == ["bottleneck", "drift", "train", "evaluate", "champion", "serving", "report"]
    # This process holds the lock of the run on the disk until it ends.
    assert differences(contents(trial.fetch()), results(alone, champion=True)) == []


def ask(port: int, method: str, **arguments: str) -> Any:
    data = urllib.parse.urlencode({"data": json.dumps(arguments)})
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/{method}?{data}", timeout=TIMEOUT) as answer:
        return json.load(answer)["response"]


@contextmanager
def watching(port: int, name: str) -> Iterator[dict[str, int]]:
    """Collect the messages of a task on luigid's web page, with their percentages, until the block ends."""
    shown, ended = dict[str, int](), threading.Event()

    def watch() -> None:
        while not ended.wait(0.05):
            for task, told in ask(port, "task_list", status="RUNNING", upstream_status="").items():
                message = ask(port, "get_task_status_message", task_id=task)["statusMessage"]
                percentage = ask(port, "get_task_progress_percentage", task_id=task)["progressPercentage"]
                if message and told["name"] == name:
                    shown[message] = percentage or 0

    with ThreadPoolExecutor(1) as pool:
        watched = pool.submit(watch)
        try:
            yield shown
        finally:
            ended.set()
        watched.result()


def test_two_workers_of_luigid_do_a_run_and_its_web_page_has_the_line_of_the_terminal(tmp_path: Path) -> None:
    project, config = Project(tmp_path / "photos", tmp_path / "data"), tmp_path / "luigid.cfg"
    draw(project.photos, range(WATCHED_PHOTOS))
    config.write_text("[core]\nlocal_scheduler=false\n")
    with luigid(tmp_path / "luigid") as scheduler:
        options = {"date": DATE, "scheduler_port": str(scheduler.port), **MUCH}
        with watching(scheduler.port, "ExtractBottlenecks") as shown:
            done = project.retrain({"LUIGI_CONFIG_PATH": str(config)}, **options, workers="2").check()
        assert "Test accuracy" in done.output
        assert Path(project.record(DATE)["report"]).is_file()
        finished = ask(scheduler.port, "task_list", status="DONE", upstream_status="")
        assert {told["name"] for told in finished.values()} == set(TASKS.split())
        again = project.retrain({"LUIGI_CONFIG_PATH": str(config)}, **options)
        assert again.check().output.startswith("Nothing to do")
    assert any("preparing" in message for message in shown)
    # Done of total, percentage, rate and time left.
    progress = [message for message in shown if f"/{WATCHED_PHOTOS} [" in message and "photo/s" in message]
    assert any("<" in message for message in progress), shown
    assert max(shown.values()) > 0
