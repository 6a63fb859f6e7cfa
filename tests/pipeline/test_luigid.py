"""A real `luigid`, the scheduler with the web page: it takes the job from two workers and shows how it stands."""

import json
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.command import Finished, Project, draw
from tests.support.processes import TIMEOUT
from tests.support.servers.luigid import luigid

DATE = "2026-11-24"
PHOTOS = 120
#: Two seconds of work, so that there is something to be told between start and end.
MUCH = {"image_size": "288", "views": "2", "flip_left_right": "", "distorted_views": "3"}
STAGES = {
    "PrepareBackbone",
    "TakeSnapshot",
    "DecodePhotos",
    "ExtractBottlenecks",
    "TrainHead",
    "EvaluateHead",
    "ChooseChampion",
    "WriteReport",
    "RetrainFlowers",
}


class Scheduler:
    """What luigid's web page asks of it."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, method: str, **arguments: str) -> Any:
        """Call a method of its interface."""
        data = urllib.parse.urlencode({"data": json.dumps(arguments)})
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/{method}?{data}", timeout=TIMEOUT) as answer:
            return json.load(answer)["response"]

    def tasks(self, status: str) -> dict[str, dict[str, Any]]:
        """Tasks of a status, by their ids."""
        found: dict[str, dict[str, Any]] = self.ask("task_list", status=status, upstream_status="")
        return found


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scheduler]:
    with luigid(tmp_path_factory.mktemp("luigid")) as started:
        yield Scheduler(started.port)


class Watcher(threading.Thread):
    """Looks at the web page's figures while the job runs."""

    def __init__(self, scheduler: Scheduler) -> None:
        super().__init__(daemon=True)
        self._scheduler, self._ended = scheduler, threading.Event()
        self.messages: dict[str, set[str]] = {}
        self.percentages: dict[str, set[int]] = {}

    def run(self) -> None:
        """Look until told to end."""
        while not self._ended.wait(0.05):
            for task, told in self._scheduler.tasks("RUNNING").items():
                message = self._scheduler.ask("get_task_status_message", task_id=task)["statusMessage"]
                percentage = self._scheduler.ask("get_task_progress_percentage", task_id=task)["progressPercentage"]
                if message:
                    self.messages.setdefault(told["name"], set()).add(message)
                    self.percentages.setdefault(told["name"], set()).add(percentage or 0)

    def end(self) -> None:
        """Stop looking."""
        self._ended.set()
        self.join(TIMEOUT)
        assert not self.is_alive()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("project")
    draw(folder / "photos", range(PHOTOS))
    return Project(folder / "photos", folder / "data")


@pytest.fixture(scope="module")
def watched(project: Project, scheduler: Scheduler) -> tuple[Finished, Watcher]:
    """The job, done by two workers of the scheduler."""
    config = project.root.with_name("luigid.cfg")
    config.write_text("[core]\nlocal_scheduler=false\n")
    watcher = Watcher(scheduler)
    watcher.start()
    try:
        done = project.retrain(
            {"LUIGI_CONFIG_PATH": str(config)},
            date=DATE,
            workers="2",
            scheduler_port=str(scheduler.port),
            **MUCH,
        )
    finally:
        # Before luigid does, or its last question fails.
        watcher.end()
    return done, watcher


def test_two_workers_of_a_central_scheduler_do_the_whole_job(
    project: Project, scheduler: Scheduler, watched: tuple[Finished, Watcher]
) -> None:
    done, _ = watched
    assert done.code == 0, done.errors
    assert "Test accuracy" in done.output
    assert Path(project.record(DATE)["report"]).is_file()
    assert {told["name"] for told in scheduler.tasks("DONE").values()} == STAGES


def test_web_page_is_told_the_line_that_a_terminal_shows(watched: tuple[Finished, Watcher]) -> None:
    _, watcher = watched
    seen = watcher.messages["ExtractBottlenecks"]
    assert any("preparing" in message for message in seen)
    # Done of total, percentage, rate and time left.
    assert any(f"/{PHOTOS} [" in message and "photo/s" in message and "<" in message for message in seen), seen
    assert max(watcher.percentages["ExtractBottlenecks"]) > 0


@pytest.mark.usefixtures("watched")
def test_the_same_job_again_is_nothing_to_do(project: Project, scheduler: Scheduler) -> None:
    config = project.root.with_name("luigid.cfg")
    again = project.retrain({"LUIGI_CONFIG_PATH": str(config)}, date=DATE, **MUCH, scheduler_port=str(scheduler.port))
    assert again.code == 0
    assert again.output.startswith("Nothing to do")
