"""`python -m pipeline watch`: the accuracy of the checkpoints of a training, also while it runs."""

import os
import signal
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import pandas as pd
import pytest

from tasks.shards.manifests import SCHEMA_VERSION
from tasks.storage.files import publish_json
from tasks.storage.layout import DataRoot
from tasks.train.settings import FinetuneSettings, TrainSettings
from tasks.train.training_state import Training, announce
from tests.pipeline.command import Finished, assert_error, verb
from tests.support import processes
from tests.support.processes import TIMEOUT, stop, write_line
from tests.train.data_root import fill, head_folder, train
from tests.train.examples import FINETUNE, settings

pytestmark = pytest.mark.slow

#: Trains as the train stage does, but waits for a line of input at each line of progress.
TRAINING = """
import sys
from pathlib import Path
from tasks.storage.layout import DataRoot
from tasks.progress import NullProgress
from tests.train.data_root import train

class Obedient(NullProgress):
    def tell(self, line):
        print(line, flush=True)
        sys.stdin.readline()

train(DataRoot(Path(sys.argv[1])), Obedient())
"""


def running(*arguments: object) -> AbstractContextManager[subprocess.Popen[str]]:
    """Run Python without this process's setting of TensorFlow's log level."""
    own = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    return processes.running([sys.executable, *arguments], own, stderr=subprocess.PIPE)


def watching(*arguments: object) -> AbstractContextManager[subprocess.Popen[str]]:
    return running("-m", "pipeline", "watch", *arguments, "--interval", "0.1")


def read_line(process: subprocess.Popen[str]) -> str:
    line = processes.read_line(process)
    assert line, "nothing was written"
    return line.rstrip("\n")


@pytest.fixture
def root(root: DataRoot[Path]) -> DataRoot[Path]:
    """A data root on which a head can be trained."""
    fill(root)
    return root


def test_each_checkpoint_of_a_training_is_measured_until_it_ends(root: DataRoot[Path]) -> None:
    folder = head_folder(root)
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


def test_a_training_that_dies_is_reported_with_exit_code_1(root: DataRoot[Path]) -> None:
    folder = head_folder(root)
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


def test_ctrl_c_ends_it_without_output(root: DataRoot[Path]) -> None:
    folder = head_folder(root)
    folder.mkdir(parents=True)
    with watching(folder) as watcher:
        read_line(watcher)
        assert stop(watcher, signal.SIGINT) == Finished(130, "", "")


def test_once_measures_the_last_checkpoint_and_fails_if_there_is_none(
    classic_root: DataRoot[Path], root: DataRoot[Path]
) -> None:
    done = verb("watch", head_folder(classic_root).name, "--data-root", classic_root.path, "--once")
    assert (done.code, done.output.count("\n")) == (0, 1)
    assert done.output.startswith("After 300 training steps, validation accuracy = ")
    folder = head_folder(root)
    folder.mkdir(parents=True)
    done = verb("watch", folder, "--once")
    assert (done.code, done.output) == (1, f"No checkpoint file found in {folder / 'checkpoints'}\n")


def test_a_run_is_given_by_key_folder_or_record(classic_root: DataRoot[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = head_folder(classic_root)
    record = classic_root.runs("flowers") / "2026-03-01-0123abcd.json"
    publish_json(record, {"schema_version": SCHEMA_VERSION, "head": folder.name})
    ways: list[tuple[object, ...]] = [(folder,), (record,), (folder.name, "--data-root", classic_root.path)]
    assert [verb("watch", *way, "--once").code for way in ways] == [0, 0, 0]
    monkeypatch.chdir(folder)
    assert verb("watch", ".", "--once").code == 0
    monkeypatch.chdir(classic_root.path)
    assert verb("watch", f"train/{folder.name}", "--once").code == 0
    assert verb("watch", folder.name, "--data-root", ".", "--once").code == 0


@pytest.mark.parametrize(
    ("how", "sentences"),
    [
        (FINETUNE, ["it watches heads alone"]),
        (settings(), ["is fitted in closed form, so there are no checkpoints to measure", "--recipe classic"]),
    ],
)
def test_only_a_head_of_the_classic_recipe_can_be_watched(
    root: DataRoot[Path], how: FinetuneSettings | TrainSettings, sentences: list[str]
) -> None:
    folder = root.train(how.key("snap"))
    announce(Training(how, "snap"), folder)
    record = root.runs("flowers") / "2026-03-01-0123abcd.json"
    model = {"head": None, "network": folder.name} if how is FINETUNE else {"head": folder.name}
    publish_json(record, {"schema_version": SCHEMA_VERSION, **model})
    assert_error(verb("watch", record, "--once"), 1, *sentences)


@pytest.mark.parametrize("run", ["0123456789abcdef", "no key", ".", "..", "", "manifest.json", "record.json"])
def test_a_run_that_is_not_there_is_an_error_of_usage(
    classic_root: DataRoot[Path], run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = classic_root.runs("flowers") / "record.json"
    publish_json(empty, {"schema_version": SCHEMA_VERSION})
    (classic_root.path / "manifest.json").write_text("{}")
    monkeypatch.chdir(classic_root.path if run != "record.json" else empty.parent)
    assert_error(verb("watch", run, "--data-root", classic_root.path), 2, "is not the key of a head")


def test_an_error_is_its_sentence_without_a_traceback(root: DataRoot[Path]) -> None:
    folder = train(root)
    (folder / "training.json").write_text("{}")
    done = verb("watch", folder)
    assert_error(done, 1, f"{folder / 'training.json'} was not written by this version")
    assert done.output == ""
