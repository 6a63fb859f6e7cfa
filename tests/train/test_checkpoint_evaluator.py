"""The running evaluator: it measures what a checkpoint holds, and survives all that happens to checkpoints."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

from tasks.errors import SettingError, StoreError
from tasks.paths import to_path
from tasks.runtime.tensorflow_import import tf
from tasks.storage.layout import DataRoot
from tasks.train.checkpoint_evaluator import _Watcher, look_once, watch_training
from tasks.train.curve import Weights, curve_path, read_curve
from tasks.train.examples import Examples, mark
from tasks.train.features import read_values
from tasks.train.head import LAYER, Head, load_head
from tasks.train.training_state import Training, announce
from tests.support.data_root import LABELS, SNAPSHOT_KEY
from tests.support.progress import Tally
from tests.support.servers.object_store import ObjectStore
from tests.train.data_root import fill, head_folder, photos, train
from tests.train.examples import BOTTLENECK, classic, settings
from tests.train.test_training_state import FINETUNE

CLASSIC = classic(learning_rate=0.05)
LDA = settings()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> DataRoot[Path]:
    """A data root with a classic head."""
    root = DataRoot(tmp_path_factory.mktemp("watching") / "data")
    fill(root)
    train(root, CLASSIC)
    return root


@pytest.fixture
def root(trained: DataRoot[Path], tmp_path: Path) -> DataRoot[Path]:
    """A copy, to be changed."""
    shutil.copytree(trained.path, tmp_path / "data")
    return DataRoot(tmp_path / "data")


def validation(root: DataRoot[Path]) -> Examples:
    there = photos(root, CLASSIC)
    return Examples(read_values(there.features, there.of("validation")), there.truth[there.of("validation")])


def newest(folder: Path, part: str) -> Path:
    """A file of the newest checkpoint."""
    return Path(f"{tf.train.latest_checkpoint(str(folder / 'checkpoints'))}.{part}")


@pytest.mark.parametrize(("weights", "names"), [("averages", "average_{}"), ("plain", "{}")])
def test_the_whole_validation_split_is_measured_with_what_the_checkpoint_holds(
    root: DataRoot[Path], weights: Weights, names: str
) -> None:
    folder, told = head_folder(root, CLASSIC), Tally()
    assert look_once(folder, weights, told.tell)
    reader = tf.train.load_checkpoint(str(folder / "checkpoints"))
    layer = {name: reader.get_tensor(f"{names.format(name)}/.ATTRIBUTES/VARIABLE_VALUE") for name in LAYER}
    head = Head(LABELS, layer["weights"], layer["biases"], rooted=False, facts={})
    seen = validation(root)
    measured = mark(head.probabilities(seen.values), seen.labels)
    (row,) = read_curve(curve_path(folder, weights)).to_pylist()
    assert (row["step"], row["accuracy"], row["log_loss"]) == (300, measured.accuracy, measured.log_loss)
    assert row["photos"] == len(seen.labels)
    assert told.lines == [f"After 300 training steps, validation accuracy = {measured.accuracy:.3g}"]


def test_averages_and_plain_weights_differ(root: DataRoot[Path]) -> None:
    folder = head_folder(root, CLASSIC)
    losses = []
    for weights in ("averages", "plain"):
        look_once(folder, weights, Tally().tell)
        losses.append(read_curve(curve_path(folder, weights))["log_loss"][0].as_py())
    assert losses[0] != losses[1]


def test_plain_weights_do_as_the_kept_head(root: DataRoot[Path]) -> None:
    folder, seen = head_folder(root, CLASSIC), validation(root)
    look_once(folder, "plain", Tally().tell)
    expected = mark(load_head(folder).probabilities(seen.values), seen.labels)
    (row,) = read_curve(curve_path(folder, "plain")).to_pylist()
    assert row["accuracy"] == expected.accuracy
    assert row["log_loss"] == pytest.approx(expected.log_loss, rel=1e-6)


def test_without_a_checkpoint_it_says_so(root: DataRoot[Path]) -> None:
    folder, told = head_folder(root, CLASSIC), Tally()
    shutil.rmtree(folder / "checkpoints")
    assert not look_once(folder, "averages", told.tell)
    assert told.lines == [f"No checkpoint file found in {folder / 'checkpoints'}"]
    assert not curve_path(folder, "averages").exists()


def vanish(folder: Path) -> None:
    newest(folder, "index").unlink()


def half_write(folder: Path) -> None:
    path = newest(folder, "data-00000-of-00001")
    path.write_bytes(path.read_bytes()[:20])


def half_write_the_index(folder: Path) -> None:
    path = newest(folder, "index")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(folder: Path) -> None:
    path = newest(folder, "data-00000-of-00001")
    path.write_bytes(bytes(byte ^ 0xFF for byte in path.read_bytes()))


def empty_the_list(folder: Path) -> None:
    (folder / "checkpoints" / "checkpoint").write_text("")


def spoil_the_list(folder: Path) -> None:
    (folder / "checkpoints" / "checkpoint").write_bytes(b"\x00\xffmodel")


def put_another_in_its_place(folder: Path) -> None:
    other = tf.train.Checkpoint(weights=tf.Variable(tf.zeros((2, 2))))
    other.write(str(newest(folder, "index").with_suffix("")))


def name_no_step_in_the_list(folder: Path) -> None:
    (folder / "checkpoints" / "checkpoint").write_text('model_checkpoint_path: "head-"')


DAMAGES = [
    name_no_step_in_the_list,
    vanish,
    half_write,
    half_write_the_index,
    flip,
    empty_the_list,
    spoil_the_list,
    put_another_in_its_place,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_checkpoint_that_cannot_be_read_is_told_of_once_and_tried_again(
    root: DataRoot[Path], damage: Callable[[Path], None], tmp_path: Path
) -> None:
    folder, told = head_folder(root, CLASSIC), Tally()
    shutil.copytree(folder, tmp_path / "good")
    damage(folder)
    watcher = _Watcher(folder, "averages", told.tell)
    assert not watcher.look()
    assert not watcher.look()
    assert len(told.lines) == 1
    assert "No checkpoint file found" in told.lines[0] or "head-300 has vanished or is damaged" in told.lines[0]
    shutil.copytree(tmp_path / "good" / "checkpoints", folder / "checkpoints", dirs_exist_ok=True)
    assert watcher.look()
    assert told.lines[1].startswith("After 300 training steps")


def test_nothing_is_said_twice_of_a_step_and_a_new_watcher_goes_on_with_the_curve(root: DataRoot[Path]) -> None:
    folder, told = head_folder(root, CLASSIC), Tally()
    state = folder / "checkpoints" / "checkpoint"
    last = state.read_text()
    state.write_text('model_checkpoint_path: "head-200"')
    first = _Watcher(folder, "averages", told.tell)
    assert first.look()
    assert first.look()
    assert len(told.lines) == 1
    state.write_text(last)
    second = _Watcher(folder, "averages", told.tell)
    assert second.look()
    assert [line.split(",")[0] for line in told.lines] == ["After 200 training steps", "After 300 training steps"]
    table = read_curve(curve_path(folder, "averages"))
    assert table["step"].to_pylist() == [200, 300]
    assert pc.all(pc.greater(table["accuracy"], 0.3)).as_py()


def test_a_watcher_waits_for_a_training_that_has_not_begun_and_ends_with_it(tmp_path: Path) -> None:
    root = DataRoot(tmp_path / "data")
    fill(root)
    folder = head_folder(root, CLASSIC)
    folder.mkdir(parents=True)
    lines: list[str] = []

    def tell(line: str) -> None:
        lines.append(line)
        if len(lines) == 1:
            train(root, CLASSIC)

    assert watch_training(folder, "averages", 0.01, tell)
    assert lines[0] == f"No checkpoint file found in {folder / 'checkpoints'}"
    assert lines[1].startswith("After 300 training steps, validation accuracy = ")
    assert lines[2:] == ["Training has ended."]


def test_a_training_on_an_object_store_is_watched_and_is_not_asked_for_all_the_time(object_store: ObjectStore) -> None:
    root: DataRoot = DataRoot(to_path(object_store.url("data")))
    fill(root)
    folder = head_folder(root, CLASSIC)
    lines: list[str] = []
    begun = time.monotonic()

    def tell(line: str) -> None:
        nonlocal begun
        lines.append(line)
        if len(lines) == 1:
            train(root, CLASSIC)
            begun = time.monotonic()

    assert watch_training(folder, "averages", 0.01, tell)
    assert time.monotonic() - begun > 2
    assert lines[0] == f"No checkpoint file found in {folder / 'checkpoints'}"
    assert lines[1].startswith("After 300 training steps, validation accuracy = ")
    assert lines[2:] == ["Training has ended."]
    assert look_once(folder, "averages", tell)
    assert read_curve(curve_path(folder, "averages"))["step"].to_pylist() == [300]


def test_a_training_that_stopped_before_its_end_is_told_of_after_its_last_checkpoint(root: DataRoot[Path]) -> None:
    folder, told = head_folder(root, CLASSIC), Tally()
    for name in ("manifest.json", "head.json"):
        (folder / name).unlink()
    assert not watch_training(folder, "averages", 0.01, told.tell)
    assert told.lines[0].startswith("After 300 training steps")
    assert told.lines[1:] == [
        f"The training in {folder} stopped before its end. Start it again: it goes on from its checkpoint."
    ]


def test_a_whole_network_is_not_watched_and_told_so(tmp_path: Path) -> None:
    folder = tmp_path / FINETUNE.key("snap")
    announce(Training(FINETUNE, "snap"), folder)
    with pytest.raises(SettingError, match="holds a whole network"):
        look_once(folder, "averages", Tally().tell)


def test_a_head_in_closed_form_is_not_watched_and_told_so(root: DataRoot[Path]) -> None:
    folder = train(root, LDA)
    with pytest.raises(SettingError, match=r"is fitted in closed form, so there are no checkpoints.*--recipe classic"):
        look_once(folder, "averages", Tally().tell)


def test_bottlenecks_that_are_gone_are_an_error(root: DataRoot[Path]) -> None:
    shutil.rmtree(root.bottleneck(BOTTLENECK.key))
    with pytest.raises(StoreError, match=r"bottlenecks behind .* are gone"):
        look_once(head_folder(root, CLASSIC), "averages", Tally().tell)


def test_measuring_leaves_no_trace_but_the_curve(root: DataRoot[Path]) -> None:
    before = {path: path.stat().st_mtime_ns for path in root.path.rglob("*") if path.is_file()}
    folder = head_folder(root, CLASSIC)
    look_once(folder, "plain", Tally().tell)
    after = {path: path.stat().st_mtime_ns for path in root.path.rglob("*") if path.is_file()}
    assert set(after) - set(before) == {curve_path(folder, "plain")}
    assert all(after[path] == time for path, time in before.items())
    assert np.isfinite(read_curve(curve_path(folder, "plain"))["log_loss"].to_numpy()).all()
    assert folder.name == CLASSIC.key(SNAPSHOT_KEY)
