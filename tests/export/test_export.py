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

from tasks.backbone.prepare import prepare_own
from tasks.backbone.request import BackboneRequest
from tasks.evaluate.settings import EvaluateSettings
from tasks.export.card import write_card
from tasks.export.classifier import open_classifier
from tasks.export.formats import FORMATS as ALL
from tasks.export.formats import OPENVINO
from tasks.export.photos import StoredPictures
from tasks.export.runners import run_pixels
from tasks.export.task import ExportModel
from tasks.export.template import temporary_files_in
from tasks.export.writers import write_formats
from tasks.hardware import find_hardware
from tasks.predict.models import Model
from tasks.predict.predictor import Predictor
from tasks.progress import NullProgress
from tasks.run_context import RunContext
from tasks.runtime.openvino_import import ov
from tasks.runtime.tensorflow_import import keras, tf
from tasks.storage.files import publish_json, read_json
from tasks.storage.layout import DataRoot
from tasks.storage.removal import remove
from tasks.train.head import load_head
from tasks.train.settings import LdaRecipe
from tests.backbone import onnx_models
from tests.bottleneck.networks import singular_values
from tests.export.exported import FILES, FORMATS, PUBLISHED, Exported, export
from tests.export.test_classifier import add_head, patches
from tests.predict.trained import CLASSIC, Trained, Way, train
from tests.support.repository import REPOSITORY
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


def copied(trained: Trained, folder: Path) -> Trained:
    """Copy the data root without exports and their tests, to change it."""
    shutil.copytree(trained.root.path, folder / "data", ignore=shutil.ignore_patterns("export", "decoding.json"))
    root = replace(trained.root, path=folder / "data")
    return Trained(root, trained.photos, root.train(trained.folder.name), root.evaluate(trained.results.name))


def test_every_format_is_written_and_predicts_like_the_pipeline(exported: Exported, tmp_path: Path) -> None:
    assert sorted(path.name for path in exported.folder.iterdir()) == PUBLISHED
    assert sorted([*PUBLISHED, *(path.name for path in exported.write(tmp_path / "files").iterdir())]) == FILES
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
    folder = exported.write(tmp_path / "elsewhere")
    for name in PUBLISHED:
        shutil.copy(exported.folder / name, folder)
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
    assert len(lines) == 4
    # The pixels for the TFLite and OpenVINO models were not compressed, unlike pictures of the decoded store.
    for line, most in zip(lines, (0.05, 0.05, 0.15, 0.15), strict=True):
        label, _, numbers = line.partition(" ")
        assert label == expected["predicted"]
        probabilities = [float(number) for number in numbers.strip("[] ").split()]
        np.testing.assert_allclose(probabilities, expected["probabilities"], atol=most)


def test_keras_model_and_saved_model_take_image_bytes_and_return_label_and_probabilities(
    exported: Exported, tmp_path: Path
) -> None:
    folder = exported.write(tmp_path / "files")
    model = keras.saving.load_model(folder / "model.keras", safe_mode=True)
    assert [tensor.name for tensor in model.inputs] == ["image_bytes"]
    assert set(model.output) == {"label", "probabilities", "novelty"}
    (signature,) = tf.saved_model.load(str(folder)).signatures.items()
    name, function = signature
    assert name == "serving_default", "TensorFlow Serving needs it"
    assert function.structured_input_signature[1] == {"image_bytes": tf.TensorSpec((None,), tf.string, "image_bytes")}
    outputs = {name: (output.dtype, output.shape.rank) for name, output in function.structured_outputs.items()}
    assert outputs == {"label": (tf.string, 1), "probabilities": (tf.float32, 2), "novelty": (tf.float32, 2)}


def test_every_format_gives_the_novelty_of_the_pipeline(exported: Exported, tmp_path: Path) -> None:
    folder, model = exported.write(tmp_path / "files"), exported.model
    (decode,) = model.decodes
    keys = exported.trained.evaluated()["sha256"].to_pylist()
    pixels = StoredPictures(exported.trained.root, model.decodes).read(keys, decode)
    predictor = Predictor(model, NullProgress())
    parts = [predictor.predict_batch([part]).novelty for part in np.array_split(pixels, len(pixels))]
    expected = np.concatenate([part for part in parts if part is not None])
    spread = np.ptp(expected)
    assert spread > 0
    for each in ALL:
        if not each.decodes:
            novelty = run_pixels(each, folder, [pixels], len(LABELS)).novelty
            assert novelty is not None
            most = 0.2 if each.precision == "int8" else 0.05
            np.testing.assert_allclose(novelty, expected, atol=most * spread, err_msg=each.name)
    files = [(exported.trained.photos / path).read_bytes() for path in exported.trained.evaluated()["path"].to_pylist()]
    keras_model = keras.saving.load_model(folder / "model.keras", safe_mode=True)
    saved = tf.saved_model.load(str(folder)).signatures["serving_default"]
    of_keras, of_saved = keras_model(tf.constant(files)), saved(image_bytes=tf.constant(files))
    # TensorFlow decodes photos a little differently.
    np.testing.assert_allclose(of_saved["novelty"][:, 0], expected, atol=0.2 * spread)
    np.testing.assert_allclose(of_keras["novelty"], of_saved["novelty"], rtol=1e-3, atol=1e-3)


def test_the_threshold_of_the_novelty_is_in_the_figures_and_in_the_card(exported: Exported, tmp_path: Path) -> None:
    assert read_json(exported.folder / "metrics.json")["novelty"]["threshold"] is None, "4 test photos are too few"
    assert "No threshold is known" in (exported.folder / "README.md").read_text()
    novelty = {"threshold": 1.25, "false_alarms": 0.05, "test_photos": 218}
    trained, export = exported.trained, replace(exported.export, novelty=novelty)
    write_card(exported.model, export, trained.results, trained.root, tmp_path / "README.md")
    told = "Above 1.25, the photo is probably of something else: of 218 test photos, 5 % are above."
    assert told in " ".join((tmp_path / "README.md").read_text().split())


def test_card_tells_of_data_figures_and_licences(exported: Exported) -> None:
    card = (exported.folder / "README.md").read_text()
    test = json.loads((exported.trained.results / "metrics.json").read_text())["test"]
    assert f"right on {100 * test['accuracy']:.1f} % of them" in card
    splits = exported.trained.evaluated().filter(pa.compute.field("label") == "red")["split"].to_pylist()
    counts = [splits.count(split) for split in ("train", "validation", "test")]
    assert f"| red | {' | '.join(map(str, counts))} |" in card
    assert "Weights of tiny: not known" in card
    assert f"snapshot `{exported.model.snapshot}`" in card


def test_card_has_the_accuracy_without_near_duplicates_where_it_differs(exported: Exported, tmp_path: Path) -> None:
    metrics = json.loads((exported.trained.results / "metrics.json").read_text())
    interval = {"low": 0.05, "high": 0.3, "confidence": 0.95}
    without = {"left_out": 4, "photos": 1234, "accuracy": 0.125, "interval": interval}
    evaluation = shutil.copytree(exported.trained.results, tmp_path / "evaluation")
    told = "Of the 1,234 that have no near duplicate among the photos it was trained on, it is right on 12.5 % (5.0"
    for accuracy, is_told in ((0.125, True), (metrics["test"]["accuracy"], False)):
        changed = {**metrics, "test_without_near_duplicates": {**without, "accuracy": accuracy}}
        (evaluation / "metrics.json").write_text(json.dumps(changed))
        write_card(exported.model, exported.export, evaluation, exported.trained.root, tmp_path / "card.md")
        assert (told in " ".join((tmp_path / "card.md").read_text().split())) == is_told


def export_task(trained: Trained, model: Model, photos: Path, run_id: str = "by hand") -> ExportModel:
    weights = {each.backbone.weights_sha256: str(each.weights) for each in model.prepared}
    context = RunContext(str(trained.root.path), run_id, model.snapshot, str(photos), weights=tuple(weights.items()))
    return ExportModel(context=context, settings=EvaluateSettings(model.settings, folds=0))


def test_openvino_model_takes_any_number_of_photos_in_the_layout_that_its_model_server_needs(
    exported: Exported, tmp_path: Path
) -> None:
    model = ov.Core().read_model(exported.write(tmp_path / "files") / "model.xml")
    (pixels,), (probabilities, novelty) = model.inputs, model.outputs
    names = [each.get_any_name() for each in (pixels, probabilities, novelty)]
    assert names == ["pixels", "probabilities", "novelty"]
    assert (str(pixels.partial_shape), pixels.get_element_type()) == ("[?,16,16,3]", ov.Type.u8)
    assert str(model.get_parameters()[0].get_layout()) == "[N,H,W,C]"
    assert (str(probabilities.partial_shape), str(novelty.partial_shape)) == ("[?,2]", "[?,1]")


@pytest.mark.parametrize(
    "way",
    [Way("float32", several=True), Way("float32", recipe=CLASSIC), Way("bfloat16"), Way(None)],
    ids=["two backbones and crops", "classic", "bfloat16", "fine-tuned network"],
)
def test_model_of_every_kind_is_exported_in_every_format(way: Way, tmp_path: Path) -> None:
    if way.precision == "bfloat16" and not find_hardware().bfloat16:
        pytest.skip("this processor does not compute in bfloat16")
    done = export(train(tmp_path, way))
    assert (done.export.refused, done.export.lacking, set(done.export.formats)) == (None, {}, FORMATS)
    for each in ALL:
        own = done.export.formats[each.name]["in_its_precision"]
        assert own["agreement"] == 1.0, each.name
        assert each.decodes or own["difference"] < 0.3, each.name
    if way.several:
        card = (done.folder / "README.md").read_text()
        assert "4 views of a\nphoto: two crops, plain and mirrored" in card
        assert '"pixels_1": ImageOps.fit(photo, (16, 16)' in " ".join(card.split())


#: Exports a model in a process that has loaded nothing yet.
EXPORT = """
import sys
from pathlib import Path
from tasks.export.export import ExportInputs, export_model
from tasks.predict.models import read_model
from tasks.progress import NullProgress
from tasks.storage.layout import DataRoot
folder, evaluation, photos = map(Path, sys.argv[1:])
done = export_model(read_model(folder), ExportInputs(evaluation, photos, DataRoot.above(folder)), NullProgress())
print(done.refused, sorted({"tensorflow", "keras"} & set(sys.modules)))
"""
OTHER_HEAD = Way("float32", recipe=LdaRecipe(shrinkage=(10.0,), layer_weights=(1.0,)))


def test_export_of_another_head_fills_the_template_without_loading_tensorflow(tmp_path: Path) -> None:
    first = export(train(tmp_path, Way("float32")))
    before = {path: path.stat().st_mtime_ns for path in first.template.folder.rglob("*")}
    trained = train(tmp_path, OTHER_HEAD)
    done = subprocess.run(
        [sys.executable, "-c", EXPORT, trained.folder, trained.results, trained.photos],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "None []\n"), done.stderr
    second = Exported(trained, trained.root.export(trained.folder.name), first.export)
    assert trained.folder != first.trained.folder
    assert {path: path.stat().st_mtime_ns for path in first.template.folder.rglob("*")} == before
    folders = first.write(tmp_path / "first"), second.write(tmp_path / "second")
    shared = "variables/variables.data-00000-of-00001"
    assert (folders[0] / shared).samefile(folders[1] / shared)
    for name in ("saved_model.pb", "model.tflite", "model-int8.tflite", "model.bin"):
        one, other = (np.frombuffer((folder / name).read_bytes(), np.uint8) for folder in folders)
        assert 0 < (one != other).sum() <= 4 * (8 + 1 + len(LABELS) + 1) * len(LABELS), name
    photos = [path.read_bytes() for path in sorted(trained.photos.glob("*/*.jpg"))[:4]]
    answers = [tf.saved_model.load(str(folder)).signatures["serving_default"] for folder in folders]
    one, other = (answer(image_bytes=tf.constant(photos))["probabilities"].numpy() for answer in answers)
    assert np.abs(one - other).max() > 1e-4


def test_damaged_template_is_set_aside_and_written_again(exported: Exported, tmp_path: Path) -> None:
    trained = copied(exported.trained, tmp_path)
    task = export_task(trained, exported.model, trained.photos)
    task.run()
    place = replace(exported, trained=trained).template.folder
    for path in place.rglob("variables.data*"):
        data = bytearray(path.read_bytes())
        data[100] ^= 1
        path.write_bytes(data)
    remove(trained.root.export(trained.folder.name), trained.root)
    task.run()
    assert task.complete()
    assert (place.parent / "damaged" / place.name).is_dir()
    replace(exported, trained=trained).write(tmp_path / "files")


def test_test_of_the_formats_that_decode_is_kept_for_other_heads_until_photos_are_of_an_untested_kind(
    exported: Exported, tmp_path: Path
) -> None:
    trained = copied(exported.trained, tmp_path)
    assert export(trained).export.tested_with == trained.folder.name
    file = replace(exported, trained=trained).template.folder / "decoding.json"
    facts = read_json(file)
    assert set(facts["tested"].values()) == {"JPEG RGB"}
    first, *others = facts["tested"]
    publish_json(file, {**facts, "tested": dict.fromkeys(others, "JPEG RGB"), "model": "another"})
    done = export(trained)
    assert done.export.tested_with == "another"
    assert "were last tested with model `another`" in " ".join((done.folder / "README.md").read_text().split())
    assert read_json(file)["untested"] == {first: "JPEG RGB"}
    publish_json(file, {**facts, "tested": dict.fromkeys(others, "PNG RGB"), "model": "another"})
    assert export(trained).export.tested_with == trained.folder.name
    assert read_json(file) == facts


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
    classifier = open_classifier(model, load_head(model.folder))
    lacking = write_formats(model, classifier, folder, DataRoot(tmp_path / "data"), NullProgress())
    assert sorted(path.name for path in folder.iterdir()) == ["assets", "saved_model.pb", "variables"]
    assert lacking["model.keras"] == "The backbone is a graph, which Keras cannot hold."
    assert "OpenVINO cannot compute the network" in lacking["model.xml"]
    assert "LiteRT cannot compute the network" in lacking["model.tflite"]
    assert lacking["model-int8.tflite"] == "singular is a network that LiteRT cannot compute in int8."


def test_onnx_file_is_exported_for_openvino_alone(tmp_path: Path) -> None:
    path = onnx_models.small(tmp_path / "mine.onnx")
    model = add_head(prepare_own(BackboneRequest(str(path), scaling="unit"), path), 2, tmp_path / "head")
    folder = tmp_path / "export"
    folder.mkdir()
    classifier = open_classifier(model, load_head(model.folder))
    lacking = dict(write_formats(model, classifier, folder, DataRoot(tmp_path / "data"), NullProgress()))
    assert sorted(path.name for path in folder.iterdir()) == ["model.bin", "model.xml"]
    reason = "mine is an ONNX file, which OpenVINO computes and TensorFlow does not."
    assert lacking.pop("model.keras") == "The backbone is a graph, which Keras cannot hold."
    assert lacking == dict.fromkeys(("saved_model", "model.tflite", "model-int8.tflite"), reason)
    expected, _ = Predictor(model, NullProgress()).predict_batch([patches()])
    predicted = run_pixels(OPENVINO, folder, [patches()], 3).probabilities
    np.testing.assert_allclose(predicted, expected, atol=0.005)
    assert np.ptp(expected, axis=0).max() > 0.05


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
    second.run()
    assert second.manifest().details == first.manifest().details
    assert second.complete()

    (tmp_path / "away").rename(photos)
    third = task("third")
    third.run()
    assert third.manifest().details == exported.export.details()
    assert task("fourth").complete()
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
