"""Exports of trained models: what is written, what it says, and that a failing one leaves nothing."""

import hashlib
import io
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
from PIL import Image

from tasks.backbone.request import BackboneRequest
from tasks.decode.images import decode_photo, read_pixels
from tasks.decode.photos import open_stores
from tasks.decode.settings import DecodeSettings
from tasks.evaluate.settings import EvaluateSettings
from tasks.export.classifier import find_obstacle
from tasks.export.conversion import convert_to_png
from tasks.export.export import ExportInputs, export_model, temporary_files_in, write_forms
from tasks.export.formats import tell_lacking
from tasks.export.layers import PhotoDecoder
from tasks.export.photos import KnownPhotos, read_known, read_pictures
from tasks.export.reference import predict_in
from tasks.export.runners import run_lite
from tasks.export.task import ExportModel
from tasks.paths import to_path
from tasks.predict.models import read_model
from tasks.predict.predictor import Predictor
from tasks.progress import NullProgress
from tasks.run_context import RunContext
from tasks.runtime.tensorflow_import import keras, tf
from tasks.shards.parquet import read_parquet
from tasks.storage.files import is_there, listed, local
from tasks.storage.layout import DataRoot
from tasks.synthetic.composition import draw_photo
from tests.export.exported import Exported, export
from tests.export.test_classifier import add_head
from tests.predict.trained import Trained, Way, train, train_below
from tests.support.servers.object_store import ObjectStore
from tests.train.tiny import LABELS

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

FILES = ["README.md", "labels.txt", "metrics.json", "model-int8.tflite", "model.keras", "model.tflite"]
FILES += ["photo_layers.py", "saved_model"]
FORMS = {"saved_model", "model.keras", "model.tflite", "model-int8.tflite"}

#: Runs what the card says, and then says what of this project it needed.
PLAIN = """
import sys
for block in sys.stdin.read().split("# next block"):
    exec(block, {})
assert not {name.partition(".")[0] for name in sys.modules} & {"pipeline", "tasks"}
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A head on bottlenecks in float32, exported."""
    return export(train(tmp_path_factory.mktemp("head"), Way("float32")))


class Killed(NullProgress):
    """Ends the work at the first photo."""

    def start(self, total: int, unit: str) -> None:  # noqa: ARG002 (how many photos is no matter)
        """Begin a part of the work."""
        if unit == "photo":
            raise KeyboardInterrupt


def copied(trained: Trained, folder: Path) -> Trained:
    """The same in another place, to be changed."""
    shutil.copytree(trained.root.path, folder / "data", ignore=shutil.ignore_patterns("export"))
    root = replace(trained.root, path=folder / "data")
    return Trained(root, trained.photos, root.train(trained.folder.name), root.evaluate(trained.results.name))


def test_every_form_is_written_and_says_what_the_pipeline_says(exported: Exported) -> None:
    assert sorted(path.name for path in exported.folder.iterdir()) == FILES
    details = exported.export.details()
    assert details["files"] == FILES
    assert (details["left_out"], details["lacking"]) == ({}, {})
    assert set(details["test"]) == FORMS
    evaluated = exported.trained.evaluated()
    photos = evaluated["split"].to_pylist().count("test")
    for form in ("saved_model", "model.keras", "model.tflite"):
        assert (details["test"][form]["photos"], details["test"][form]["agreement"]) == (photos, 1.0)
    figures = json.loads((exported.folder / "metrics.json").read_text())
    # The pipeline rounds square roots to steps of 1/256, and the exports do not.
    assert figures["forms"]["model.tflite"]["largest_difference"] < 0.01
    assert figures["forms"]["saved_model"]["largest_difference"] < 0.05
    assert figures["forms"]["model.keras"]["metrics"]["labels"] == list(LABELS)


def test_the_card_s_own_code_runs_where_nothing_of_this_project_is(exported: Exported, tmp_path: Path) -> None:
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
    # What goes into a TFLite model here was never compressed, as pictures in the decoded store are.
    for line, most in zip(lines, (0.05, 0.05, 0.15), strict=True):
        label, _, numbers = line.partition(" ")
        assert label == expected["predicted"]
        probabilities = [float(number) for number in numbers.strip("[] ").split()]
        np.testing.assert_allclose(probabilities, expected["probabilities"], atol=most)


def test_keras_model_is_loaded_in_safe_mode_and_has_one_input(exported: Exported) -> None:
    model = keras.saving.load_model(exported.folder / "model.keras", safe_mode=True)
    assert [tensor.name for tensor in model.inputs] == ["image_bytes"]
    assert set(model.output) == {"label", "probabilities"}


def test_saved_model_has_the_signature_that_tensorflow_serving_asks_for(exported: Exported) -> None:
    (signature,) = tf.saved_model.load(str(exported.folder / "saved_model")).signatures.items()
    name, function = signature
    assert name == "serving_default"
    assert function.structured_input_signature[1] == {"image_bytes": tf.TensorSpec((None,), tf.string, "image_bytes")}
    outputs = {name: (output.dtype, output.shape.rank) for name, output in function.structured_outputs.items()}
    assert outputs == {"label": (tf.string, 1), "probabilities": (tf.float32, 2)}


def test_card_tells_of_data_figures_and_licences(exported: Exported) -> None:
    card = (exported.folder / "README.md").read_text()
    test = json.loads((exported.trained.results / "metrics.json").read_text())["test"]
    assert f"right on {100 * test['accuracy']:.1f} %" in card
    splits = exported.trained.evaluated().filter(pa.compute.field("label") == "red")["split"].to_pylist()
    counts = [splits.count(split) for split in ("train", "validation", "test")]
    assert f"| red | {' | '.join(map(str, counts))} |" in card
    assert "Weights of tiny: not known" in card
    assert f"snapshot `{exported.model.snapshot}`" in card


def assert_says_what_the_pipeline_says_in(done: Exported, precision: str, form: str) -> None:
    """An export in another precision than its model says what the pipeline itself says in that one."""
    known = read_known(done.trained.results, LABELS)
    pictures = read_pictures(known, open_stores(done.trained.root, done.model.decodes[0]).decoded)
    said = predict_in(precision, done.model, pictures, NullProgress())
    exported = run_lite((done.folder / form).read_bytes(), pictures, NullProgress())
    np.testing.assert_allclose(exported, said, atol=0.01)
    assert not np.allclose(said, known.probabilities, rtol=1e-2, atol=0)


def test_a_model_in_int8_is_exported_with_its_own_network(tmp_path: Path) -> None:
    done = export(train(tmp_path, Way("int8")))
    figures = json.loads((done.folder / "metrics.json").read_text())["forms"]["model-int8.tflite"]
    assert figures["agreement"] == 1.0
    assert figures["largest_difference"] < 0.01
    assert_says_what_the_pipeline_says_in(done, "float32", "model.tflite")


def test_a_model_on_an_object_store_is_evaluated_and_exported_there_and_predicts_from_there(
    object_store: ObjectStore, tmp_path: Path
) -> None:
    root: DataRoot = DataRoot(to_path(object_store.url("data")))
    key, results = train_below(root, tmp_path, Way("float32"))
    model, source = read_model(root.train(key)), ExportInputs(root.evaluate(results), tmp_path / "photos", root)
    done = export_model(model, source, NullProgress())
    assert [done.details()["test"][form]["agreement"] for form in sorted(FORMS)] == [1.0] * len(FORMS)
    assert is_there(root.export(key))
    assert [path.name for path in listed(root.export(key))] == FILES

    rows = read_parquet(root.evaluate(results) / "predictions.parquet").to_pylist()[:5]
    (decode,) = model.decodes
    pixels = [read_pixels(decode_photo((source.photos / row["path"]).read_bytes(), decode).image) for row in rows]
    said = Predictor(model, NullProgress()).predict([np.stack(pixels)])
    np.testing.assert_allclose(said, [row["probabilities"] for row in rows], atol=1e-6)
    answer = tf.saved_model.load(str(local(root.export(key)) / "saved_model")).signatures["serving_default"]
    files = tf.constant([(source.photos / row["path"]).read_bytes() for row in rows])
    assert [label.decode() for label in answer(image_bytes=files)["label"].numpy()] == [
        row["predicted"] for row in rows
    ]


def test_a_model_that_is_not_exported_yet_says_why_and_the_run_goes_on(tmp_path: Path) -> None:
    trained = train(tmp_path, Way("float32", several=True))
    model = read_model(trained.folder)
    task = ExportModel(
        context=RunContext(
            data_root=str(trained.root.path),
            snapshot=model.snapshot,
            photos=str(trained.photos),
            weights=tuple({each.backbone.weights_sha256: str(each.weights) for each in model.prepared}.items()),
            run_id="by hand",
        ),
        settings=EvaluateSettings(model.settings, folds=0),
    )
    task.run()
    assert task.complete()
    details = task.manifest().details
    assert (details["files"], details["test"], details["refused"]) == (["metrics.json"], {}, None)
    assert set(details["lacking"]) == FORMS
    assert tell_lacking(details) == find_obstacle(model)
    assert sorted(path.name for path in (trained.folder / "export").iterdir()) == ["manifest.json", "metrics.json"]


def test_a_fine_tuned_network_is_exported(tmp_path: Path) -> None:
    done = export(train(tmp_path, Way(None)))
    assert set(done.export.tested.forms) == FORMS
    assert_says_what_the_pipeline_says_in(done, "int8", "model-int8.tflite")
    for form in ("saved_model", "model.keras", "model.tflite"):
        assert done.export.tested.forms[form]["agreement"] == 1.0


def test_of_an_export_that_says_something_else_only_its_figures_are_published(
    exported: Exported, tmp_path: Path
) -> None:
    trained = copied(exported.trained, tmp_path)
    path = trained.results / "predictions.parquet"
    table = pq.read_table(path)
    swapped = pa.array(
        [row[::-1] for row in table["probabilities"].to_pylist()], table.schema.field("probabilities").type
    )
    pq.write_table(table.set_column(4, table.schema.field("probabilities"), swapped), path)
    done = export(trained)
    assert re.match(r"The export saved_model names another label than the model on \d+ of", str(done.export.refused))
    assert [path.name for path in done.folder.iterdir()] == done.export.files == ["metrics.json"]
    assert json.loads((done.folder / "metrics.json").read_text())["refused"] == done.export.refused


def test_a_killed_export_leaves_nothing(exported: Exported, tmp_path: Path) -> None:
    trained = copied(exported.trained, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        export(trained, Killed())
    assert not [path for path in trained.folder.iterdir() if "export" in path.name]


def test_photos_that_cannot_be_shown_are_left_out_and_counted(exported: Exported, tmp_path: Path) -> None:
    trained = copied(exported.trained, tmp_path)
    photos = shutil.copytree(trained.photos, tmp_path / "photos")
    tested = [row["path"] for row in trained.evaluated().to_pylist() if row["split"] == "test"]
    (photos / tested[0]).unlink()
    done = export(replace(trained, photos=photos))
    assert done.export.tested.left_out == {"gone": 1}
    assert done.export.tested.forms["saved_model"]["photos"] == len(tested) - 1
    assert done.export.tested.forms["model.tflite"]["photos"] == len(tested)
    assert "was shown: 1 gone" in (done.folder / "README.md").read_text()

    shutil.rmtree(photos)
    shutil.rmtree(done.folder)
    without = export(replace(trained, photos=photos))
    figures = without.export.details()["test"]["saved_model"]
    assert figures == {"photos": 0, "agreement": None, "disagreements": None, "accuracy": None}
    assert (
        "| `model.keras` | photos' files (JPEG, PNG), computes in float32 | not tested |"
        in (without.folder / "README.md").read_text()
    )


def test_a_graph_that_litert_cannot_compute_is_exported_as_a_saved_model_alone(tmp_path: Path) -> None:
    module = tf.Module()
    # LiteRT has no singular values.
    module.call = tf.function(
        lambda pixels: tf.linalg.svd(pixels[..., 0], compute_uv=False),
        autograph=False,
        input_signature=[tf.TensorSpec((None, 16, 16, 3), tf.float32)],
    )
    tf.saved_model.save(module, str(tmp_path / "singular"), module.call.get_concrete_function())
    model = add_head(BackboneRequest(str(tmp_path / "singular"), scaling="raw"), 2, tmp_path / "head")
    folder = tmp_path / "export"
    folder.mkdir()
    lacking = write_forms(model, folder, DataRoot(tmp_path / "data"), NullProgress())
    assert [path.name for path in folder.iterdir()] == ["saved_model"]
    assert lacking["model.keras"] == "singular is a graph, which Keras cannot hold."
    assert "LiteRT cannot compute the network" in lacking["model.tflite"]
    assert lacking["model-int8.tflite"] == "singular is a network that LiteRT cannot compute in int8."


def export_task(exported: Exported, trained: Trained, photos: Path, run_id: str = "by hand") -> ExportModel:
    return ExportModel(
        context=RunContext(
            data_root=str(trained.root.path),
            snapshot=exported.model.snapshot,
            photos=str(photos),
            weights=tuple(
                {each.backbone.weights_sha256: str(each.weights) for each in exported.model.prepared}.items()
            ),
            run_id=run_id,
        ),
        settings=EvaluateSettings(exported.model.settings, folds=0),
    )


def test_the_task_publishes_a_manifest_of_what_it_did(exported: Exported, tmp_path: Path) -> None:
    trained = copied(exported.trained, tmp_path)
    task = export_task(exported, trained, trained.photos)
    assert not task.complete()
    task.run()
    assert task.complete()
    assert task.manifest_path() == trained.folder / "export" / "manifest.json"
    assert task.manifest().details["test"]["model.tflite"]["agreement"] == 1.0
    assert task.manifest().key == trained.folder.name
    assert task.requires().results() == trained.results


def test_an_export_without_a_photo_to_test_it_on_is_kept_and_tested_by_the_next_run(
    exported: Exported, tmp_path: Path
) -> None:
    trained = copied(exported.trained, tmp_path)
    photos = shutil.copytree(trained.photos, tmp_path / "photos")
    photos.rename(tmp_path / "away")
    task = export_task(exported, trained, photos)
    task.run()
    assert task.complete(), "within the run that made it"
    again = export_task(exported, trained, photos, run_id="another")
    assert not again.complete()
    written = (trained.folder / "export" / "saved_model" / "saved_model.pb").stat().st_mtime_ns
    again.run()
    assert again.manifest().details == task.manifest().details
    assert (again.manifest().new, again.complete()) == (0, True)

    (tmp_path / "away").rename(photos)
    third = export_task(exported, trained, photos, run_id="a third one")
    third.run()
    assert third.manifest().details == {**exported.export.details(), "files": FILES}
    assert export_task(exported, trained, photos, run_id="a fourth one").complete()
    assert (trained.folder / "export" / "saved_model" / "saved_model.pb").stat().st_mtime_ns == written
    assert "not tested" not in (trained.folder / "export" / "README.md").read_text()


@pytest.mark.parametrize("form", ["WEBP", "TIFF", "GIF", "BMP"])
def test_photos_of_other_formats_are_converted_to_what_an_export_reads(form: str, tmp_path: Path) -> None:
    """The larger PNG, once an export has decoded it, is the picture that the pipeline decodes."""
    decode = DecodeSettings(40, 56, "bicubic", "png")
    buffer = io.BytesIO()
    Image.open(io.BytesIO(draw_photo(0, 3))).save(buffer, form)
    (tmp_path / "photo").write_bytes(buffer.getvalue())
    key = hashlib.sha256(buffer.getvalue()).hexdigest()
    photos = KnownPhotos([key], ["photo"], np.zeros(1, np.int64), np.ones((1, 1), np.float32), ("a",))
    (png,) = convert_to_png(photos, tmp_path, decode, 10**8)
    assert png is not None
    pixels = PhotoDecoder(**vars(decode)).call(tf.constant([png]))[0].numpy()
    apart = np.abs(pixels - read_pixels(decode_photo(buffer.getvalue(), decode).image))
    assert apart.mean() < 1


def test_temporary_files_of_libraries_lie_in_the_export_s_own_folder_and_go(tmp_path: Path) -> None:
    before, folder = tempfile.gettempdir(), tmp_path / "temporary"
    with temporary_files_in(folder):
        with tempfile.NamedTemporaryFile(delete=False) as file:
            assert Path(file.name).parent == folder
        # TensorFlow writes a function down where it makes a graph of its Python.
        tf.function(lambda numbers: tf.reduce_sum(numbers) if tf.size(numbers) > 0 else 0.0)(tf.ones(3))
        assert len(list(folder.glob("__autograph_generated_file*"))) == 1
    assert not folder.exists()
    assert tempfile.gettempdir() == before
