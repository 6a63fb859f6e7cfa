"""Finding and reading trained models, and finding the weights of their backbones."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tasks.backbone.backbones import Prepared
from tasks.errors import ModelError, StoreError
from tasks.predict.models import find_model, read_model
from tasks.shards.manifests import SCHEMA_VERSION, Manifest, StageResult
from tasks.storage.files import publish_json
from tasks.storage.layout import DataRoot
from tasks.train.settings import FinetuneSettings, TrainSettings
from tasks.train.training_state import Training, announce
from tests.train.examples import BOTTLENECK, FINETUNE, settings

HEAD = settings()


def publish(stage: str, path: Path, how: object, details: dict[str, object]) -> None:
    outcome = StageResult("key", "snap", asdict(how), 1, 1, 0, details=details)  # type: ignore[call-overload]  # a dataclass
    Manifest(stage=stage, run="test", seconds=0.0, **vars(outcome)).publish(path)


def add_model(root: DataRoot[Path], how: TrainSettings | FinetuneSettings = HEAD) -> Path:
    folder = root.train(how.key("snap"))
    announce(Training(how, "snap"), folder)
    publish("train", folder / "manifest.json", how, {"labels": ["daisy", "roses"]})
    return folder


def add_backbone(root: DataRoot[Path], weights: Path, how: object = BOTTLENECK.backbone) -> None:
    publish("backbone", root.below("backbone", "drawn") / "0123.json", how, {"weights": str(weights)})


@pytest.fixture
def weights(root: DataRoot[Path]) -> Path:
    """Weights that a manifest of the backbone stage names."""
    path = root.path / "weights.pth"
    path.touch()
    add_backbone(root, path)
    return path


@pytest.mark.parametrize("how", [HEAD, FINETUNE], ids=["head", "network"])
def test_model_is_described_by_its_folder(
    root: DataRoot[Path], weights: Path, how: TrainSettings | FinetuneSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = add_model(root, how)
    # An earlier version stored labels as their folders' names were written.
    publish("train", folder / "manifest.json", how, {"labels": ["cafe\u0301", "roses"]})
    monkeypatch.chdir(folder)
    for model in (read_model(folder), read_model(Path())):
        assert (model.folder, model.key, model.settings) == (folder, how.key("snap"), how)
        assert (model.snapshot, model.labels) == ("snap", ("caf\u00e9", "roses"))
        assert model.prepared == (Prepared(BOTTLENECK.backbone, weights),)


def test_each_of_several_backbones_has_its_own_weights(root: DataRoot[Path], weights: Path, tmp_path: Path) -> None:
    other = replace(BOTTLENECK.backbone, name="other", weights_sha256="1" * 64)
    squeezed = replace(BOTTLENECK.backbone, crop="stretch")
    bottlenecks = tuple(replace(BOTTLENECK, backbone=each) for each in (BOTTLENECK.backbone, squeezed, other))
    folder = add_model(root, settings(bottlenecks=bottlenecks))
    model = read_model(folder, {other.weights_sha256: tmp_path / "other.pth"})
    assert model.prepared == (Prepared(BOTTLENECK.backbone, weights), Prepared(other, tmp_path / "other.pth"))
    assert [model.weights_of(each) for each in (squeezed, other)] == [weights, tmp_path / "other.pth"]


def test_a_model_of_an_earlier_version_is_told_of_in_a_sentence(root: DataRoot[Path]) -> None:
    folder = add_model(root)
    told = json.loads((folder / "training.json").read_text())
    (told["settings"]["bottleneck"],) = told["settings"].pop("bottlenecks")
    (folder / "training.json").write_text(json.dumps(told))
    with pytest.raises(StoreError, match=r"was not written by this version \(no settings of this version have the"):
        read_model(folder)


@pytest.mark.parametrize("named", ["data/backbone/drawn/imagenet/w.h5", "/old/data/backbone/drawn/imagenet/w.h5"])
def test_fetched_weights_are_found_in_a_data_root_that_was_moved(root: DataRoot[Path], named: str) -> None:
    add_backbone(root, Path(named))
    weights = root.below("backbone", "drawn") / "imagenet" / "w.h5"
    weights.parent.mkdir()
    weights.touch()
    assert read_model(add_model(root)).prepared[0].weights == weights


def test_other_files_and_other_backbones_are_skipped(root: DataRoot[Path]) -> None:
    folder = add_model(root)
    (root.below("backbone", "drawn") / "lock").mkdir(parents=True)
    (root.below("backbone", "drawn") / "some.json").write_text("{")
    add_backbone(root, folder, replace(BOTTLENECK.backbone, weights_sha256="1" * 64))
    with pytest.raises(ModelError, match=r"Nothing in .*backbone says where the weights of drawn"):
        _ = read_model(folder).prepared


def test_weights_that_are_gone_are_named_with_the_remedy(root: DataRoot[Path], weights: Path) -> None:
    weights.unlink()
    with pytest.raises(ModelError, match=r"no longer at .*weights\.pth\. Put them back, or start the run that"):
        _ = read_model(add_model(root)).prepared


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (shutil.rmtree, ModelError, r"There is no model in .*[0-9a-f]{16}\. Train one"),
        (lambda folder: (folder / "manifest.json").unlink(), ModelError, "has not ended"),
        (lambda folder: publish("train", folder / "manifest.json", HEAD, {}), StoreError, "does not name the model's"),
        (lambda folder: shutil.copytree(folder, folder.parent / ("0" * 16)), StoreError, "its key is another one"),
    ],
    ids=["no model", "no manifest", "no labels", "another key"],
)
def test_incomplete_or_damaged_model_is_an_error(
    damage: Callable[[Path], object], error: type[Exception], message: str, root: DataRoot[Path]
) -> None:
    folder = add_model(root)
    damage(folder)
    with pytest.raises(error, match=message):
        read_model(root.train("0" * 16) if root.train("0" * 16).exists() else folder)


def test_model_is_named_by_key_folder_record_or_dataset(root: DataRoot[Path]) -> None:
    folder, record = add_model(root), root.runs("flowers") / "2026-03-01-0123abcd.json"
    publish_json(root.champion("flowers"), {"champion": folder.name})
    publish_json(record, {"schema_version": SCHEMA_VERSION, "head": folder.name})
    for text in (folder.name, str(folder), str(record), "flowers"):
        assert find_model(text, root) == folder
    publish_json(root.champion("flowers"), {})
    with pytest.raises(StoreError, match=r"flowers\.json names no champion"):
        find_model("flowers", root)


@pytest.mark.parametrize("text", ["0123456789abcdef", "roses", "", "..", "a/b", "manifest.json"])
def test_name_of_no_model_is_an_error(root: DataRoot[Path], text: str) -> None:
    with pytest.raises(ModelError, match="the name of a dataset that has a champion"):
        find_model(text, root)
