"""`python -m pipeline watch` beside a training: two real processes on one folder."""

import json
import os
import signal
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from pipeline.cli.app import app
from tasks.shards.schemas import SCHEMA_VERSION
from tasks.storage.layout import DataRoot
from tasks.train.settings import FinetuneSettings
from tasks.train.training_state import Training, announce
from tests.support import processes
from tests.support.processes import TIMEOUT, Finished, stop, write_line
from tests.support.repository import REPOSITORY
from tests.train.data_root import fill, head_folder, train
from tests.train.examples import BOTTLENECK, classic, settings

CLASSIC = classic(learning_rate=0.05)

#: Trains as the train stage does, but waits at each line that it tells until it is let go on.
TRAINING = """
import sys
from pathlib import Path
from tasks.storage.layout import DataRoot
from tasks.progress import NullProgress
from tests.pipeline.test_watch import CLASSIC
from tests.train.data_root import train

class Obedient(NullProgress):
    def tell(self, line):
        print(line, flush=True)
        sys.stdin.readline()

train(DataRoot(Path(sys.argv[1])), CLASSIC, Obedient())
"""


def running(*arguments: object) -> AbstractContextManager[subprocess.Popen[str]]:
    """Run Python."""
    # As a person's: this process has quietened TensorFlow for itself, in a way that children inherit by halves.
    own = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    return processes.running([sys.executable, *arguments], own, stderr=subprocess.PIPE)


def watching(*arguments: object) -> AbstractContextManager[subprocess.Popen[str]]:
    return running("-m", "pipeline", "watch", *arguments, "--interval", "0.1")


def read_line(process: subprocess.Popen[str]) -> str:
    """The next line that a process writes."""
    line = processes.read_line(process)
    assert line, "nothing was written"
    return line.rstrip("\n")


@pytest.fixture
def root(tmp_path: Path) -> DataRoot[Path]:
    """A data root on which a head can be trained."""
    root = DataRoot(tmp_path / "data")
    fill(root)
    return root


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> DataRoot[Path]:
    """A data root with a trained head; tests only look."""
    root = DataRoot(tmp_path_factory.mktemp("watch") / "data")
    fill(root)
    train(root, CLASSIC)
    return root


def call(*arguments: object) -> Result:
    """Call the command in this process."""
    return CliRunner().invoke(app, ["watch", *map(str, arguments)])


def test_a_watcher_beside_a_training_measures_each_checkpoint_and_ends_with_it(root: DataRoot[Path]) -> None:
    folder = head_folder(root, CLASSIC)
    with running("-c", TRAINING, root.path) as training:
        assert read_line(training).startswith("Step 100: validation accuracy on 20 random photos = ")
        with watching(folder) as watcher:
            # The training waits at its first line, before its first checkpoint.
            assert read_line(watcher) == f"No checkpoint file found in {folder / 'checkpoints'}"
            for step in (100, 200):
                write_line(training)
                assert read_line(watcher).startswith(f"After {step} training steps, validation accuracy = 0.")
            out, _ = training.communicate("\n\n", timeout=TIMEOUT)
            assert "Final test accuracy = " in out
            rest, errors = watcher.communicate(timeout=TIMEOUT)
            assert rest.splitlines()[0].startswith("After 300 training steps")
            assert rest.splitlines()[1:] == ["Training has ended."]
            assert (watcher.returncode, errors) == (0, "")
    assert training.returncode == 0
    curve = pd.read_parquet(folder / "curve-averages.parquet")
    assert curve["step"].tolist() == [100, 200, 300]
    assert curve["accuracy"].between(0, 1).all()
    assert curve["photos"].nunique() == 1


def test_a_training_that_dies_is_told_of_and_the_exit_code_is_1(root: DataRoot[Path]) -> None:
    folder = head_folder(root, CLASSIC)
    with running("-c", TRAINING, root.path) as training:
        read_line(training)
        write_line(training)
        with watching(folder.name, "--data-root", root.path, "--plain") as watcher:
            assert read_line(watcher).startswith("After 100 training steps")
            training.send_signal(signal.SIGKILL)
            training.wait(TIMEOUT)
            assert read_line(watcher).startswith(f"The training in {folder} stopped before its end.")
            assert watcher.wait(timeout=TIMEOUT) == 1
    assert pd.read_parquet(folder / "curve-plain.parquet")["step"].tolist() == [100]


def test_ctrl_c_ends_it_quietly(root: DataRoot[Path]) -> None:
    folder = head_folder(root, CLASSIC)
    folder.mkdir(parents=True)
    with watching(folder) as watcher:
        read_line(watcher)
        assert stop(watcher, signal.SIGINT) == Finished(130, "", "")


def test_once_looks_once(trained: DataRoot[Path]) -> None:
    done = call(head_folder(trained, CLASSIC).name, "--data-root", trained.path, "--once")
    assert done.exit_code == 0
    assert done.stdout.startswith("After 300 training steps, validation accuracy = ")
    assert done.stdout.count("\n") == 1


def test_once_without_a_checkpoint_says_so_and_fails(root: DataRoot[Path]) -> None:
    folder = head_folder(root, CLASSIC)
    folder.mkdir(parents=True)
    done = call(folder, "--once")
    assert (done.exit_code, done.stdout) == (1, f"No checkpoint file found in {folder / 'checkpoints'}\n")


def test_a_run_is_given_by_key_folder_or_record(trained: DataRoot[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = head_folder(trained, CLASSIC)
    record = trained.runs("flowers") / "2026-03-01-0123abcd.json"
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps({"schema_version": SCHEMA_VERSION, "head": folder.name}))
    ways: list[tuple[object, ...]] = [(folder,), (record,), (folder.name, "--data-root", trained.path)]
    assert [call(*way, "--once").exit_code for way in ways] == [0, 0, 0]
    monkeypatch.chdir(folder)
    assert call(".", "--once").exit_code == 0
    monkeypatch.chdir(trained.path)
    assert call(f"train/{folder.name}", "--once").exit_code == 0
    assert call(folder.name, "--data-root", ".", "--once").exit_code == 0


def test_a_fine_tuned_network_is_none_to_be_watched(root: DataRoot[Path]) -> None:
    how = FinetuneSettings(BOTTLENECK.backbone, "png", epochs=1, batch_size=2, learning_rate=0.1, seed=0)
    folder = root.train(how.key("snap"))
    announce(Training(how, "snap"), folder)
    record = root.runs("flowers") / "2026-03-01-0123abcd.json"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"schema_version": SCHEMA_VERSION, "head": None, "network": folder.name}))
    done = call(record, "--once")
    assert done.exit_code == 1
    assert "it watches heads alone" in done.stderr


def test_a_head_in_closed_form_is_none_to_be_watched(root: DataRoot[Path]) -> None:
    how = settings()
    folder = root.train(how.key("snap"))
    announce(Training(how, "snap"), folder)
    done = call(folder, "--once")
    assert done.exit_code == 1
    told = " ".join(done.stderr.split())
    assert "is fitted in closed form, so there are no checkpoints to measure" in told
    assert "--recipe classic" in told


@pytest.mark.parametrize("run", ["0123456789abcdef", "no key", ".", "..", "", "manifest.json", "record.json"])
def test_a_run_that_is_not_there_is_an_error_of_usage(
    trained: DataRoot[Path], run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = trained.runs("flowers") / "record.json"
    empty.parent.mkdir(parents=True, exist_ok=True)
    empty.write_text(json.dumps({"schema_version": SCHEMA_VERSION}))
    (trained.path / "manifest.json").write_text("{}")
    monkeypatch.chdir(trained.path if run != "record.json" else empty.parent)
    done = call(run, "--data-root", trained.path)
    assert done.exit_code == 2
    assert "is no head's key in" in " ".join(done.stderr.split())


def test_an_error_is_its_sentence_without_a_traceback(root: DataRoot[Path]) -> None:
    folder = train(root, CLASSIC)
    (folder / "training.json").write_text("{}")
    done = call(folder)
    assert done.exit_code == 1
    assert done.stderr.startswith(f"{folder / 'training.json'} was not written by this version")
    assert "Traceback" not in done.output
    assert done.stdout == ""


def test_help_has_examples_and_no_boxes_without_a_terminal() -> None:
    command = [sys.executable, "-m", "pipeline", "watch", "--help"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert "Examples:" in done.stdout
    assert "python -m pipeline watch data/train/" in done.stdout
    assert all(option in done.stdout for option in ("RUN", "--data-root", "--interval", "--once", "--plain"))
    assert done.stdout.isascii()


def test_starting_the_command_line_loads_nothing_heavy() -> None:
    script = "import pipeline.cli, sys; print(*{'tensorflow', 'keras', 'sklearn', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
