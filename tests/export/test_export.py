"""Exports of trained models: the files, their predictions, and that a failed export leaves nothing."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.evaluate.settings import EvaluateSettings
from tasks.export.classifier import find_obstacle
from tasks.export.export import temporary_files_in
from tasks.export.formats import explain_lacking
from tasks.export.task import ExportModel
from tasks.export.writers import write_formats
from tasks.predict.models import Model, read_model
from tasks.progress import NullProgress
from tasks.run_context import RunContext
from tasks.runtime.tensorflow_import import keras, tf
from tasks.storage.layout import DataRoot
from tests.bottleneck.networks import singular_values
from tests.export.exported import FILES, FORMATS, Exported, export
from tests.export.test_classifier import add_head
from tests.predict.trained import Trained, Way, train
from tests.train.tiny import LABELS

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")]

#: Runs the code blocks of the card, and checks that they import nothing of this project.
PLAIN = """
import sys
for block in sys.stdin.read().split("# next block"):
    exec(block, {})
assert not {name.partition(".")[0] for name in sys.modules} & {"pipeline", "tasks"}
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export(train(tmp_path_factory.mktemp("head"), Way("float32")))


class Killed(NullProgress):
    """Ends the export at the first photo."""

    def start(self, total: int, unit: str) -> None:  # noqa: ARG002 (the signature of Progress)
        """Begin a part of the work."""
        if unit == "photo":
            raise KeyboardInterrupt


def copied(trained: Trained, folder: Path) -> Trained:
    """Copy the data root without exports, to change it."""
    shutil.copytree(trained.root.path, folder / "data", ignore=shutil.ignore_patterns("export"))
    root = replace(trained.root, path=folder / "data")
    return Trained(root, trained.photos, root.train(trained.folder.name), root.evaluate(trained.results.name))


def test_every_format_is_written_and_predicts_like_the_pipeline(exported: Exported) -> None:
    assert sorted(path.name for path in exported.folder.iterdir()) == FILES
    details = exported.export.details()
    assert details["files"] == FILES
    assert (details["left_out"], details["lacking"]) == ({}, {})
    assert set(details["test"]) == FORMATS
    evaluated = exported.trained.evaluated()
    photos = evaluated["split"].to_pylist().count("test")
    for name in FORMATS - {"model-int8.tflite"}:
        assert (details["test"][name]["photos"], details["test"][name]["agreement"]) == (photos, 1.0)
    figures = json.loads((exported.folder / "metrics.json").read_text())
    # Only the pipeline rounds square roots to steps of 1/256.
    assert figures["forms"]["model.tflite"]["largest_difference"] < 0.01
    assert figures["forms"]["saved_model"]["largest_difference"] < 0.05
    assert figures["forms"]["model.keras"]["metrics"]["labels"] == list(LABELS)


def test_code_of_the_card_runs_without_this_project(exported: Exported, tmp_path: Path) -> None:
    folder = shutil.copytree(exported.folder, tmp_path / "elsewhere")
    (photo,) = list((exported.trained.photos / "red").glob("*.jpg"))[:1]
    shutil.copy(photo, folder / "photo.jpg")
    blocks = re.findall(r"```python\n(.+?)```", (folder / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 3
    done = subprocess.run(
        [sys.executable, "-c", PLAIN],
        input="\n# next block\n".join(blocks),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    key, rows = photo.relative_to(exported.trained.photos).as_posix(), exported.trained.evaluated().to_pylist()
    (expected,) = (row for row in rows if row["path"] == key)
    lines = [line for line in done.stdout.splitlines() if line.startswith(LABELS)]
    assert len(lines) == 3
    # The pixels for the TFLite model were not compressed, unlike pictures of the decoded store.
    for line, most in zip(lines, (0.05, 0.05, 0.15), strict=True):
        label, _, numbers = line.partition(" ")
        assert label == expected["predicted"]
        probabilities = [float(number) for number in numbers.strip("[] ").split()]
        np.testing.assert_allclose(probabilities, expected["probabilities"], atol=most)


def test_keras_model_and_saved_model_take_image_bytes_and_return_label_and_probabilities(exported: Exported) -> None:
    model = keras.saving.load_model(exported.folder / "model.keras", safe_mode=True)
    assert [tensor.name for tensor in model.inputs] == ["image_bytes"]
    assert set(model.output) == {"label", "probabilities"}
    (signature,) = tf.saved_model.load(str(exported.folder / "saved_model")).signatures.items()
    name, function = signature
    assert name == "serving_default", "TensorFlow Serving needs it"
    assert function.structured_input_signature[1] == {"image_bytes": tf.TensorSpec((None,), tf.string, "image_bytes")}
    outputs = {name: (output.dtype, output.shape.rank) for name, output in function.structured_outputs.items()}
    assert outputs == {"label": (tf.string, 1), "probabilities": (tf.float32, 2)}


def test_card_tells_of_data_figures_and_licences(exported: Exported) -> None:
    card = (exported.folder / "README.md").read_text()
    test = json.loads((exported.trained.results / "metrics.json").read_text())["test"]
    assert f"right on {100 * test['accuracy']:.1f} % of them" in card
    splits = exported.trained.evaluated().filter(pa.compute.field("label") == "red")["split"].to_pylist()
    counts = [splits.count(split) for split in ("train", "validation", "test")]
    assert f"| red | {' | '.join(map(str, counts))} |" in card
    assert "Weights of tiny: not known" in card
    assert f"snapshot `{exported.model.snapshot}`" in card


def export_task(trained: Trained, model: Model, photos: Path, run_id: str = "by hand") -> ExportModel:
    weights = {each.backbone.weights_sha256: str(each.weights) for each in model.prepared}
    context = RunContext(str(trained.root.path), run_id, model.snapshot, str(photos), weights=tuple(weights.items()))
    return ExportModel(context=context, settings=EvaluateSettings(model.settings, folds=0))


def test_model_that_cannot_be_exported_has_a_reason_and_the_run_continues(tmp_path: Path) -> None:
    trained = train(tmp_path, Way("float32", several=True))
    model = read_model(trained.folder)
    task = export_task(trained, model, trained.photos)
    task.run()
    assert task.complete()
    details = task.manifest().details
    assert (details["files"], details["test"], details["refused"]) == (["metrics.json"], {}, None)
    assert set(details["lacking"]) == FORMATS
    assert explain_lacking(details) == find_obstacle(model)
    assert sorted(path.name for path in (trained.folder / "export").iterdir()) == ["manifest.json", "metrics.json"]


def test_export_that_disagrees_publishes_only_its_figures(exported: Exported, tmp_path: Path) -> None:
    trained = copied(exported.trained, tmp_path)
    path = trained.results / "predictions.parquet"
    table = pq.read_table(path)
    swapped = pa.array(
        [row[::-1] for row in table["probabilities"].to_pylist()], table.schema.field("probabilities").type
    )
    pq.write_table(table.set_column(4, table.schema.field("probabilities"), swapped), path)
    done = export(trained)
    assert re.match(r"The export saved_model predicts another label than the model on \d+ of", str(done.export.refused))
    assert [path.name for path in done.folder.iterdir()] == done.export.details()["files"] == ["metrics.json"]
    assert json.loads((done.folder / "metrics.json").read_text())["refused"] == done.export.refused


def test_killed_export_leaves_nothing(exported: Exported, tmp_path: Path) -> None:
    trained = copied(exported.trained, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        export(trained, Killed())
    assert not [path for path in trained.folder.iterdir() if "export" in path.name]


def test_photos_that_cannot_be_read_are_left_out_and_counted(exported: Exported, tmp_path: Path) -> None:
    trained = copied(exported.trained, tmp_path)
    photos = shutil.copytree(trained.photos, tmp_path / "photos")
    tested = [row["path"] for row in trained.evaluated().to_pylist() if row["split"] == "test"]
    (photos / tested[0]).unlink()
    done = export(replace(trained, photos=photos))
    assert done.export.left_out == {"gone": 1}
    assert done.export.formats["saved_model"]["photos"] == len(tested) - 1
    assert done.export.formats["model.tflite"]["photos"] == len(tested)
    assert "were not tested on: 1 gone" in (done.folder / "README.md").read_text()


def test_graph_that_litert_cannot_compute_is_exported_only_as_a_saved_model(tmp_path: Path) -> None:
    backbone = singular_values(tmp_path, 16)
    model = add_head(backbone, 2, tmp_path / "head")
    folder = tmp_path / "export"
    folder.mkdir()
    lacking = write_formats(model, folder, DataRoot(tmp_path / "data"), NullProgress())
    assert [path.name for path in folder.iterdir()] == ["saved_model"]
    assert lacking["model.keras"] == "singular is a graph, which Keras cannot hold."
    assert "LiteRT cannot compute the network" in lacking["model.tflite"]
    assert lacking["model-int8.tflite"] == "singular is a network that LiteRT cannot compute in int8."


def test_untested_export_is_kept_and_tested_by_the_next_run_that_can_read_photos(
    exported: Exported, tmp_path: Path
) -> None:
    trained = copied(exported.trained, tmp_path)
    photos, folder = shutil.copytree(trained.photos, tmp_path / "photos"), trained.folder / "export"

    def task(run_id: str) -> ExportModel:
        return export_task(trained, exported.model, photos, run_id)

    photos.rename(tmp_path / "away")
    first = task("first")
    assert not first.complete()
    first.run()
    assert first.complete(), "within the run that made it"
    assert (first.manifest_path(), first.manifest().key) == (folder / "manifest.json", trained.folder.name)
    figures = first.manifest().details["test"]["saved_model"]
    assert figures == {"photos": 0, "agreement": None, "disagreements": None, "accuracy": None}
    row = "| `model.keras` | photos' files (JPEG, PNG), computes in float32 | not tested |"
    assert row in (folder / "README.md").read_text()
    second = task("second")
    assert not second.complete()
    written = (folder / "saved_model" / "saved_model.pb").stat().st_mtime_ns
    second.run()
    assert second.manifest().details == first.manifest().details
    assert (second.manifest().new, second.complete()) == (0, True)

    (tmp_path / "away").rename(photos)
    third = task("third")
    third.run()
    assert third.manifest().details == {**exported.export.details(), "files": FILES}
    assert task("fourth").complete()
    assert (folder / "saved_model" / "saved_model.pb").stat().st_mtime_ns == written
    assert "not tested" not in (folder / "README.md").read_text()


def test_temporary_files_of_libraries_are_written_to_the_export_s_folder_and_removed(tmp_path: Path) -> None:
    before, folder = tempfile.gettempdir(), tmp_path / "temporary"
    with temporary_files_in(folder):
        with tempfile.NamedTemporaryFile(delete=False) as file:
            assert Path(file.name).parent == folder
        # TensorFlow writes a file when it makes a graph of a Python function.
        tf.function(lambda numbers: tf.reduce_sum(numbers) if tf.size(numbers) > 0 else 0.0)(tf.ones(3))
        assert len(list(folder.glob("__autograph_generated_file*"))) == 1
    assert not folder.exists()
    assert tempfile.gettempdir() == before
