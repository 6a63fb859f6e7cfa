"""What is read of a trained model, and where its backbone's weights are found."""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tasks.backbone.backbones import Prepared
from tasks.errors import ModelError, StoreError
from tasks.predict.models import read_model
from tasks.shards.manifests import Manifest, StageResult
from tasks.storage.layout import DataRoot
from tasks.train.settings import FinetuneSettings, TrainSettings
from tasks.train.training_state import Training, announce
from tests.train.examples import BOTTLENECK, settings

HEAD = settings()
NETWORK = FinetuneSettings(BOTTLENECK.backbone, "png", epochs=1, batch_size=2, learning_rate=0.1, seed=0)


def publish(stage: str, path: Path, how: object, details: dict[str, object]) -> None:
    """Publish a stage's manifest."""
    outcome = StageResult("key", "snap", asdict(how), 1, 1, 0, details=details)  # type: ignore[call-overload]  # a dataclass
    Manifest(stage=stage, run="test", seconds=0.0, **vars(outcome)).publish(path)


def add_model(root: DataRoot[Path], how: TrainSettings | FinetuneSettings = HEAD) -> Path:
    """Publish what `read_model` reads of a model."""
    folder = root.train(how.key("snap"))
    announce(Training(how, "snap"), folder)
    publish("train", folder / "manifest.json", how, {"labels": ["daisy", "roses"]})
    return folder


def add_backbone(root: DataRoot[Path], weights: Path, how: object = BOTTLENECK.backbone) -> None:
    """Publish the manifest of a backbone, `drawn`."""
    publish("backbone", root.below("backbone", "drawn") / "0123.json", how, {"weights": str(weights)})


@pytest.fixture
def root(tmp_path: Path) -> DataRoot[Path]:
    return DataRoot(tmp_path / "data")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights.pth"
    path.touch()
    return path


@pytest.mark.parametrize("how", [HEAD, NETWORK], ids=["head", "network"])
def test_model_is_described_by_its_folder(
    root: DataRoot[Path], weights: Path, how: TrainSettings | FinetuneSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_backbone(root, weights)
    folder = add_model(root, how)
    monkeypatch.chdir(folder)
    for model in (read_model(folder), read_model(Path())):
        assert (model.folder, model.key, model.settings) == (folder, how.key("snap"), how)
        assert (model.snapshot, model.labels) == ("snap", ("daisy", "roses"))
        assert model.prepared == (Prepared(BOTTLENECK.backbone, weights),)


def test_weights_that_are_given_are_not_looked_for(root: DataRoot[Path]) -> None:
    weights = Path("mine.pth")
    model = read_model(add_model(root), {BOTTLENECK.backbone.weights_sha256: weights})
    assert model.prepared == (Prepared(BOTTLENECK.backbone, weights),)


def test_each_of_several_backbones_has_its_own_weights(root: DataRoot[Path], weights: Path, tmp_path: Path) -> None:
    other = replace(BOTTLENECK.backbone, name="other", weights_sha256="1" * 64)
    squeezed = replace(BOTTLENECK.backbone, crop="stretch")
    bottlenecks = tuple(replace(BOTTLENECK, backbone=each) for each in (BOTTLENECK.backbone, squeezed, other))
    add_backbone(root, weights)
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


def test_other_files_and_other_backbones_are_passed_over(root: DataRoot[Path], weights: Path) -> None:
    folder = add_model(root)
    (root.below("backbone", "drawn") / "lock").mkdir(parents=True)
    (root.below("backbone", "drawn") / "some.json").write_text("{")
    add_backbone(root, weights, replace(BOTTLENECK.backbone, weights_sha256="1" * 64))
    with pytest.raises(ModelError, match=r"Nothing in .*backbone says where the weights of drawn"):
        _ = read_model(folder).prepared


def test_weights_that_are_gone_are_named_with_the_remedy(root: DataRoot[Path], weights: Path) -> None:
    add_backbone(root, weights)
    weights.unlink()
    with pytest.raises(ModelError, match=r"no longer at .*weights\.pth\. Put them back, or start the run again"):
        _ = read_model(add_model(root)).prepared


def test_folder_without_a_model_is_an_error(root: DataRoot[Path]) -> None:
    with pytest.raises(ModelError, match=r"There is no model in .*0123"):
        read_model(root.train("0123"))


def test_training_that_has_not_ended_is_an_error(root: DataRoot[Path], weights: Path) -> None:
    add_backbone(root, weights)
    folder = add_model(root)
    (folder / "manifest.json").unlink()
    with pytest.raises(ModelError, match="has not ended"):
        read_model(folder)


def test_manifest_without_labels_is_an_error_of_the_store(root: DataRoot[Path], weights: Path) -> None:
    add_backbone(root, weights)
    manifest = add_model(root) / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "details": {}}))
    with pytest.raises(StoreError, match="does not name the model's labels"):
        read_model(manifest.parent)


def test_folder_under_another_name_is_an_error_of_the_store(root: DataRoot[Path], weights: Path) -> None:
    add_backbone(root, weights)
    other = root.train("0" * 16)
    shutil.copytree(add_model(root), other)
    with pytest.raises(StoreError, match="its key is another one"):
        read_model(other)


def test_labels_are_in_form_nfc_however_an_earlier_version_kept_them(root: DataRoot[Path], weights: Path) -> None:
    folder = add_model(root)
    add_backbone(root, weights)
    publish("train", folder / "manifest.json", HEAD, {"labels": ["cafe\u0301", "roses"]})
    assert read_model(folder).labels == ("caf\u00e9", "roses")
