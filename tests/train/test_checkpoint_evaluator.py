"""The running evaluator: it measures the weights of a checkpoint, and survives damaged and vanished checkpoints."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pyarrow.compute as pc
import pytest

from tasks.errors import StoreError
from tasks.paths import AnyPath
from tasks.runtime.tensorflow_import import tf
from tasks.storage.layout import DataRoot
from tasks.train.checkpoint_evaluator import CheckpointEvaluator, watch_training
from tasks.train.curve import Weights, curve_path, read_curve
from tasks.train.head import LAYER, Head
from tests.support.data_root import LABELS
from tests.support.progress import Tally
from tests.train.data_root import fill, head_folder, photos, train
from tests.train.examples import BOTTLENECK


@pytest.fixture
def root(classic_root: DataRoot[Path], tmp_path: Path) -> DataRoot[Path]:
    """A copy of a data root with a classic head, to be changed."""
    shutil.copytree(classic_root.path, tmp_path / "data")
    return DataRoot(tmp_path / "data")


@pytest.fixture
def folder(root: DataRoot[Path]) -> Path:
    return head_folder(root)


def look_once(folder: AnyPath, weights: Weights = "averages") -> tuple[bool, list[str]]:
    """Look with a new evaluator; return whether there was a checkpoint, and the lines."""
    told = Tally()
    return CheckpointEvaluator(folder, weights, told.tell).look(), told.lines


def newest(folder: Path, part: str) -> Path:
    return Path(f"{tf.train.latest_checkpoint(str(folder / 'checkpoints'))}.{part}")


@pytest.mark.parametrize(("weights", "names"), [("averages", "average_{}"), ("plain", "{}")])
def test_the_whole_validation_split_is_measured_with_the_weights_of_the_checkpoint(
    root: DataRoot[Path], folder: Path, weights: Weights, names: str
) -> None:
    found, lines = look_once(folder, weights)
    reader = tf.train.load_checkpoint(str(folder / "checkpoints"))
    layer = {name: reader.get_tensor(f"{names.format(name)}/.ATTRIBUTES/VARIABLE_VALUE") for name in LAYER}
    loaded = photos(root)
    examples = loaded.examples(loaded.of("validation"))
    accuracy, log_loss = examples.score(Head(LABELS, layer["weights"], layer["biases"], rooted=False, facts={}))
    (point,) = read_curve(curve_path(folder, weights)).to_pylist()
    assert (point["step"], point["photos"]) == (300, len(examples.labels))
    assert (point["accuracy"], point["log_loss"]) == (accuracy, log_loss)
    assert (found, lines) == (True, [f"After 300 training steps, validation accuracy = {accuracy:.3g}"])


def test_without_a_checkpoint_it_says_so(folder: Path) -> None:
    shutil.rmtree(folder / "checkpoints")
    assert look_once(folder) == (False, [f"No checkpoint file found in {folder / 'checkpoints'}"])
    assert not curve_path(folder, "averages").exists()


def rewrite(part: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = newest(folder, part)
        path.write_bytes(change(path.read_bytes()))

    return damage


def rewrite_list(content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / "checkpoints" / "checkpoint").write_bytes(content)


def replace_variables(folder: Path) -> None:
    other = tf.train.Checkpoint(weights=tf.Variable(tf.zeros((2, 2))))
    other.write(str(newest(folder, "index").with_suffix("")))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "no index": lambda folder: newest(folder, "index").unlink(),
    "half an index": rewrite("index", lambda data: data[: len(data) // 2]),
    "a little of the data": rewrite("data-00000-of-00001", lambda data: data[:20]),
    "flipped data": rewrite("data-00000-of-00001", lambda data: bytes(byte ^ 0xFF for byte in data)),
    "other variables": replace_variables,
    "an empty list": rewrite_list(b""),
    "a spoilt list": rewrite_list(b"\x00\xffmodel"),
    "no step in the list": rewrite_list(b'model_checkpoint_path: "head-"'),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_checkpoint_that_cannot_be_read_is_told_of_once_and_tried_again(
    folder: Path, damage: Callable[[Path], object], tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "good")
    damage(folder)
    evaluator = CheckpointEvaluator(folder, "averages", (told := Tally()).tell)
    assert not evaluator.look()
    assert not evaluator.look()
    assert len(told.lines) == 1
    assert "No checkpoint file found" in told.lines[0] or "head-300 has vanished or is damaged" in told.lines[0]
    shutil.copytree(tmp_path / "good" / "checkpoints", folder / "checkpoints", dirs_exist_ok=True)
    assert evaluator.look()
    assert told.lines[1].startswith("After 300 training steps")


def test_nothing_is_said_twice_of_a_step_and_a_new_evaluator_goes_on_with_the_curve(folder: Path) -> None:
    told, state = Tally(), folder / "checkpoints" / "checkpoint"
    last = state.read_text()
    state.write_text('model_checkpoint_path: "head-200"')
    first = CheckpointEvaluator(folder, "averages", told.tell)
    assert first.look()
    assert first.look()
    assert len(told.lines) == 1
    state.write_text(last)
    assert CheckpointEvaluator(folder, "averages", told.tell).look()
    assert [line.split(",")[0] for line in told.lines] == ["After 200 training steps", "After 300 training steps"]
    table = read_curve(curve_path(folder, "averages"))
    assert table["step"].to_pylist() == [200, 300]
    assert pc.all(pc.greater(table["accuracy"], 0.3)).as_py()


@pytest.mark.parametrize("remote", [False, True], ids=["local", "remote"])
def test_watching_waits_for_a_training_that_has_not_begun_and_ends_with_it(
    remote: bool, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object store is not asked all the time."""
    root: DataRoot = DataRoot(request.getfixturevalue("far_root") if remote else tmp_path / "data")
    fill(root)
    folder, lines, waits = head_folder(root), list[str](), list[float]()
    monkeypatch.setattr("tasks.train.checkpoint_evaluator.time", SimpleNamespace(sleep=waits.append))

    def tell(line: str) -> None:
        lines.append(line)
        if len(lines) == 1:
            train(root)

    assert watch_training(folder, "averages", 0.01, tell)
    assert lines[0] == f"No checkpoint file found in {folder / 'checkpoints'}"
    assert lines[1].startswith("After 300 training steps, validation accuracy = ")
    assert lines[2:] == ["Training has ended."]
    assert waits == [2.0 if remote else 0.01]
    assert read_curve(curve_path(folder, "averages"))["step"].to_pylist() == [300]


def test_a_training_that_stopped_before_its_end_is_told_of_after_its_last_checkpoint(folder: Path) -> None:
    for name in ("manifest.json", "head.json"):
        (folder / name).unlink()
    assert not watch_training(folder, "averages", 0.01, (told := Tally()).tell)
    assert told.lines[0].startswith("After 300 training steps")
    assert told.lines[1:] == [
        f"The training in {folder} stopped before its end. Start it again: it goes on from its checkpoint."
    ]


def test_bottlenecks_that_are_gone_are_an_error(root: DataRoot[Path], folder: Path) -> None:
    shutil.rmtree(root.bottleneck(BOTTLENECK.key))
    with pytest.raises(StoreError, match=r"bottlenecks behind .* are gone"):
        look_once(folder)


def test_measuring_leaves_no_trace_but_the_curve(root: DataRoot[Path], folder: Path) -> None:
    def times() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in root.path.rglob("*") if path.is_file()}

    before = times()
    look_once(folder, "plain")
    after = times()
    assert set(after) - set(before) == {curve_path(folder, "plain")}
    assert all(after[path] == time for path, time in before.items())
