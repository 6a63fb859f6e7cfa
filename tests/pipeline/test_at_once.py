"""Runs at the same time over one data root: they come to what they would one after the other."""

import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.pipeline.command import LITTLE, Project, words
from tests.pipeline.first_stages import retrain_here, small_backbone
from tests.reliability.contents import contents, differences
from tests.reliability.trial import draw_old
from tests.storage.processes import started
from tests.storage.test_locks import HOLDER
from tests.support.processes import Command, background_command, until

WAITS, AT_WORK, NOTHING, DONE = "Another process is at the run of", "decode ", "Nothing to do:", "Run record"


def plain(project: Project) -> dict[str, str]:
    """The options of each run, which others may take the place of."""
    return {**small_backbone(project.photos.parent), **LITTLE, "date": "2026-01-31"}


@contextmanager
def starting(project: Project, *runs: Mapping[str, str]) -> Iterator[list[Command]]:
    """Start a RetrainFlowers for each of these options, and go on meanwhile."""
    project.root.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as rest:
        commands = [words("RetrainFlowers", project.options({**plain(project), **options})) for options in runs]
        yield [rest.enter_context(background_command(command, project.root.parent)) for command in commands]


def waits(run: Command) -> bool:
    """Whether a run said that it waits."""
    return WAITS in run.said()


def end(run: Command) -> str:
    """Wait until a run has ended well; returns what it wrote."""
    assert run.end() == 0, run.said()
    return run.said()


def results(project: Project) -> Mapping[str, object]:
    """The contents of a data root, but for what the last of two runs that are equally right leaves, and locks."""
    found = contents(project.root).items()
    return {name: value for name, value in found if not name.startswith("champion/") and not name.endswith(".lock")}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """What a run left that nothing disturbed."""
    folder = tmp_path_factory.mktemp("alone")
    project = Project(folder / "photos", folder / "data")
    draw_old(project.photos, range(30))
    assert DONE in project.retrain_forked(**plain(project)).output
    return project


def test_of_three_same_commands_one_runs_and_when_it_is_killed_another_one_takes_over(
    alone: Project, tmp_path: Path
) -> None:
    project = Project(alone.photos, tmp_path / "data")
    with starting(project, {}, {}, {}) as runs:
        until(lambda: any(AT_WORK in run.said() for run in runs))
        (first,) = [run for run in runs if AT_WORK in run.said()]
        # It takes no part until the others have come as far as to wait for it, however late they start.
        first.process.send_signal(signal.SIGSTOP)
        until(lambda: sum(waits(run) for run in runs) == 2)
        assert not waits(first)
        first.kill()
        said = [end(run) for run in runs if run is not first]
    assert sorted((DONE in text, NOTHING in text) for text in said) == [(True, False), (True, True)]
    assert [text.count(WAITS) for text in said] == [1, 1]
    assert differences(contents(project.root), contents(alone.root)) == []


def test_other_dates_parameters_and_datasets_come_to_the_same_as_one_after_the_other(
    alone: Project, tmp_path: Path
) -> None:
    one_by_one, at_once = Project(alone.photos, tmp_path / "a" / "data"), Project(alone.photos, tmp_path / "b" / "data")
    other_photos = tmp_path / "others"
    draw_old(other_photos, range(15, 40))
    night = {"date": "2026-02-01"}
    runs = []
    shutil.copytree(alone.root, one_by_one.root)
    shutil.copytree(alone.root, at_once.root)
    for options in (night, {**night, "folds": "3"}, {"dataset": str(other_photos)}):
        retrain_here(one_by_one, **{**plain(one_by_one), "max_rejected": "0.05", **options})
        runs.append(options)
    # Of the other photos everything is to be done, and each of several workers would import TensorFlow for it.
    workers = [{"workers": "1" if "dataset" in options else "4", **options} for options in runs]
    (of_dataset,) = at_once.root.glob("runs/*")
    with started(HOLDER, of_dataset / f".{night['date']}.lock") as holder, starting(at_once, *workers) as commands:
        # The two of one night begin at the same moment, however late one of them starts.
        until(lambda: [waits(command) for command in commands[:2]] == [True, True])
        holder.kill()
        assert all(DONE in end(command) for command in commands)
        assert not waits(commands[2])
    assert differences(results(at_once), results(one_by_one)) == []
    champions = [
        sorted(name for name in contents(project.root) if not name.endswith(".lock"))
        for project in (at_once, one_by_one)
    ]
    assert champions[0] == champions[1]
    assert (at_once.root / "index.html").read_text().count(" href=") == (
        one_by_one.root / "index.html"
    ).read_text().count(" href=")
