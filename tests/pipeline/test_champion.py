"""`python -m pipeline champion`: who is champion, and orders of a person about it."""

import json
import os
import pty
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tasks.champion.champion_file import read_champion
from tasks.paths import to_path
from tasks.storage.files import lock_folder, read_bytes
from tasks.storage.layout import DataRoot
from tests.champion.test_task import GOOD, prepare
from tests.pipeline.command import Finished, assert_error, verb
from tests.serving.exports import crown, numbers, served
from tests.support.data_root import DATASET, DAY
from tests.support.processes import TIMEOUT, read_line, read_terminal, running
from tests.support.servers.object_store import ObjectStore


@pytest.fixture
def two(root: DataRoot[Path]) -> tuple[str, str]:
    """The keys of the champion's predecessor and of the champion, which are exported and not served yet."""
    return crown(root, 0), crown(root, 1)


def champion(root: DataRoot[Path], *words: object) -> Finished:
    return verb("champion", DATASET, "--data-root", root.path, *words)


def rows(done: Finished) -> list[list[str]]:
    return [line.split() for line in done.check().output.splitlines()[2:]]


def test_it_shows_the_champion_and_its_predecessors(root: DataRoot[Path], two: tuple[str, str]) -> None:
    old, new = two
    done = champion(root)
    assert rows(done) == [
        [f"{DAY}", new, "75.0%", "(30.0-95.0)", "-", "4", "run", "-", "champion"],
        [f"{DAY}", old, "75.0%", "(30.0-95.0)", "-", "4", "run", "-", "predecessor"],
        ["Model", "servers:", "no", "version", "yet."],
    ]
    assert (champion(root, "--json").check().errors, numbers(root)) == ("", [])


def test_a_rollback_is_served_and_told_by_every_verb(root: DataRoot[Path], two: tuple[str, str]) -> None:
    old, new = two
    done = champion(root, "--rollback", "--yes").check()
    assert served(root) == old
    assert f"Model servers: {root.serving(DATASET) / '1'}" in done.output
    assert f"Rolled back, restored only by --promote: {new}" in done.output
    history = verb("history", DATASET, "--data-root", root.path).check().output
    assert [line.split()[-3:] for line in history.splitlines()[-1:]] == [["rollback", "-", old]]
    assert old in root.index().read_text()
    told = json.loads(champion(root, "--json").check().output)
    assert (told["champion"]["model"], told["champion"]["by"], told["rolled_back"]) == (old, "rollback", [new])
    assert told["serving"] == {"number": 1, "model": old, "folder": str(root.serving(DATASET) / "1")}
    assert [order["order"] for order in told["orders"]] == ["rollback"]


@pytest.mark.parametrize("named", ["key", "folder", "record"])
def test_a_model_is_promoted_by_its_key_its_folder_or_its_record(
    root: DataRoot[Path], two: tuple[str, str], named: str
) -> None:
    old, new = two
    champion(root, "--rollback", "--yes").check()
    (record,) = root.path.glob("runs/*/*.json")
    model = {"key": new, "folder": root.train(new), "record": record}[named]
    champion(root, "--promote", model, "--yes").check()
    assert served(root) == new
    assert numbers(root) == [1, 2]
    # The same again completes an order that was killed, and otherwise changes nothing.
    before = root.champion(DATASET).read_bytes()
    champion(root, "--promote", model, "--yes").check()
    assert root.champion(DATASET).read_bytes() == before
    assert numbers(root) == [1, 2]
    assert old != new


def test_a_pinned_model_stays_until_it_is_unpinned(root: DataRoot[Path], two: tuple[str, str]) -> None:
    old, new = two
    champion(root, "--pin", old, "--yes").check()
    assert "pinned since" in champion(root).check().output
    assert served(root) == old
    for words in (("--rollback",), ("--promote", new), ("--pin", new)):
        assert_error(champion(root, *words, "--yes"), 1, f"The champion {old} has been pinned since", "--unpin")
    task = prepare(root, 1, GOOD, run="again")
    task.run()
    assert task.manifest().details["kept_by"] == "pin"
    champion(root, "--unpin", "--yes").check()
    champion(root, "--promote", new, "--yes").check()
    assert_error(champion(root, "--unpin", "--yes"), 1, f"The champion {new} is not pinned.")


@pytest.mark.parametrize("order", [("--rollback",), ("--pin", "MODEL"), ("--promote", "MODEL")])
def test_a_model_whose_folder_is_gone_is_refused(
    root: DataRoot[Path], two: tuple[str, str], order: tuple[str, ...]
) -> None:
    old, _ = two
    shutil.rmtree(root.train(old))
    before = root.champion(DATASET).read_bytes()
    done = champion(root, *(old if word == "MODEL" else word for word in order), "--yes")
    assert_error(done, 1, old, f"{root.train(old)}" if "--rollback" in order else "is not the key of a head or network")
    assert root.champion(DATASET).read_bytes() == before
    assert numbers(root) == []


def test_a_model_that_no_run_of_the_dataset_evaluated_is_refused(root: DataRoot[Path], two: tuple[str, str]) -> None:
    assert two
    another = prepare(root, 2, GOOD).settings.train.key("snap")
    done = champion(root, "--promote", another, "--yes")
    assert_error(done, 1, f"No run of {DATASET} in {root.path} has evaluated the model {another}.")


@pytest.mark.usefixtures("two")
def test_without_a_terminal_nothing_is_changed(root: DataRoot[Path]) -> None:
    before = root.champion(DATASET).read_bytes()
    assert_error(champion(root, "--rollback"), 1, "Nothing was changed: nobody can be asked here.")
    assert root.champion(DATASET).read_bytes() == before


@pytest.mark.parametrize("answer", ["y", "n"])
def test_on_a_terminal_it_asks(root: DataRoot[Path], two: tuple[str, str], answer: str) -> None:
    old, new = two
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "pipeline", "champion", DATASET, "--data-root", root.path, "--rollback"]
    environment = {**os.environ, "COLUMNS": "400"}
    with running(words, environment, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        question = f"Make {old} (75.0% on 4 photos) the champion in the place of {new} (75.0% on 4 photos)?"
        assert question in read_terminal(ours, "[y/N]")
        os.write(ours, f"{answer}\n".encode())
        read_terminal(ours)
        assert process.wait() == (0 if answer == "y" else 1)
    now = read_champion(root.champion(DATASET))
    assert now is not None
    assert now.model == (old if answer == "y" else new)


def test_an_order_waits_for_a_run_and_says_so_beside_the_output_for_scripts(
    root: DataRoot[Path], two: tuple[str, str]
) -> None:
    old, new = two
    words = ["champion", DATASET, "--data-root", root.path, "--rollback", "--yes", "--json"]
    with ExitStack() as run_that_decides:
        run_that_decides.enter_context(lock_folder(root.decisions(DATASET)))
        with running([sys.executable, "-m", "pipeline", *words], stderr=subprocess.PIPE) as process:
            assert f"Another process works in {root.decisions(DATASET)}" in read_line(process, errors=True)
            now = read_champion(root.champion(DATASET))
            assert now is not None
            assert now.model == new
            run_that_decides.close()
            output, _ = process.communicate(timeout=TIMEOUT)
    assert json.loads(output)["rolled_back"] == [new]
    assert served(root) == old


def test_orders_exclude_each_other_and_a_dataset_needs_runs_and_a_champion(root: DataRoot[Path]) -> None:
    assert_error(champion(root), 1, "There are no runs in")
    crown(root, 0)
    assert_error(champion(root, "--rollback", "--unpin"), 2, "Give one of --rollback and --unpin.")
    assert_error(champion(root, "--rollback", "--yes"), 1, "has no predecessor to roll back to")
    root.champion(DATASET).unlink()
    for words in ((), ("--rollback", "--yes"), ("--unpin", "--yes")):
        assert_error(champion(root, *words), 1, f"{DATASET} has no champion yet.")


def test_a_first_champion_may_be_named_by_a_person(root: DataRoot[Path]) -> None:
    model = crown(root, 0)
    root.champion(DATASET).unlink()
    champion(root, "--promote", model, "--yes").check()
    assert served(root) == model


def test_a_champion_without_an_export_is_promoted_and_the_version_before_is_told(root: DataRoot[Path]) -> None:
    crown(root, 0)
    new = crown(root, 1, export=False)
    old = champion(root, "--rollback", "--yes").check() and served(root)
    done = champion(root, "--promote", new, "--yes").check()
    assert served(root) == old
    assert f"Model servers: version 1 is {old}" in done.output


def test_as_many_versions_stay_as_asked_for(root: DataRoot[Path], two: tuple[str, str]) -> None:
    for number in range(5):
        champion(root, "--promote", two[number % 2], "--yes", "--keep-versions", 2).check()
    assert numbers(root) == [4, 5]
    champion(root, "--promote", two[1], "--yes").check()
    assert numbers(root) == [4, 5, 6]


@pytest.mark.usefixtures("own_machine")
def test_on_an_object_store_an_order_does_the_same(object_store: ObjectStore) -> None:
    root: DataRoot = DataRoot(to_path(object_store.url("data")))
    old, new = crown(root, 0), crown(root, 1)
    done = verb("champion", DATASET, "--data-root", root.path, "--rollback", "--yes").check()
    assert served(root) == old
    assert read_bytes(root.serving(DATASET) / "current") == b"1"
    assert f"Rolled back, restored only by --promote: {new}" in done.output
    verb("champion", DATASET, "--data-root", root.path, "--promote", new, "--yes").check()
    assert (served(root), numbers(root)) == (new, [1, 2])
