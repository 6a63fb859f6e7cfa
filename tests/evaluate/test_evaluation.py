"""Evaluation: the same files for a head and for a whole network, and a cross-validation only where it is asked for."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tasks.artifacts import DataRoot, Manifest
from tasks.backbone.backbones import Prepared
from tasks.evaluate.evaluation import Evaluation, Source, evaluate
from tasks.evaluate.settings import EvaluateSettings
from tasks.parameters import SettingsParameter
from tasks.progress import Silence
from tasks.train.finetune import Pictured, finetune
from tasks.train.photos import load_photos
from tasks.train.settings import FinetuneSettings, TrainSettings
from tasks.train.training import train_head
from tests.bottleneck.pictures import add_bottlenecks, manifest_of
from tests.train.examples import classic, settings
from tests.train.tiny import LABELS, coloured_snapshot, tiny

COUNT = 90
FILES = {"metrics.json", "predictions.parquet"}


@pytest.fixture
def root(tmp_path: Path) -> DataRoot[Path]:
    return DataRoot(tmp_path)


@pytest.fixture
def prepared(root: DataRoot[Path]) -> Prepared:
    return tiny(root.path)


@pytest.fixture
def decoded(root: DataRoot[Path]) -> Manifest:
    return coloured_snapshot(root, COUNT)


def measure(
    root: DataRoot[Path], prepared: Prepared, before: Manifest, how: EvaluateSettings
) -> tuple[Evaluation, Path]:
    """Evaluate, and say where the results are."""
    return evaluate("snap", how, Source(before, prepared.weights), root, Silence()), root.evaluate(how.key("snap"))


def with_head(root: DataRoot[Path], prepared: Prepared) -> tuple[TrainSettings, Manifest]:
    """Train a head on drawn bottlenecks."""
    train = settings(l2=(0.1,))
    bottleneck = replace(train.bottleneck, backbone=prepared.backbone)
    train = replace(train, bottleneck=bottleneck)
    shard = add_bottlenecks(bottleneck.store(root), range(COUNT), 2, prepared.backbone.width)
    embedded = manifest_of("bottleneck", COUNT, [shard])
    photos = load_photos("snap", embedded, bottleneck, root)
    train_head(photos, train, "snap", root.train(train.key("snap")), Silence())
    return train, embedded


@pytest.mark.usefixtures("decoded")
@pytest.mark.parametrize("folds", [0, 2])
def test_head_is_cross_validated_where_that_is_asked_for(root: DataRoot[Path], prepared: Prepared, folds: int) -> None:
    train, embedded = with_head(root, prepared)
    evaluation, results = measure(root, prepared, embedded, EvaluateSettings(train, folds))
    assert {path.name for path in results.iterdir()} == FILES
    written = json.loads((results / "metrics.json").read_text())
    assert written == evaluation.to_json()
    if folds:
        assert written["cross_validation"]["folds"] == 2
    else:
        assert written["cross_validation"] is None


def test_fine_tuned_network_gets_the_same_files_as_a_head(
    root: DataRoot[Path], prepared: Prepared, decoded: Manifest
) -> None:
    train = FinetuneSettings(prepared.backbone, "png", epochs=2, batch_size=8, learning_rate=0.01, seed=0)
    finetune(Pictured("snap", decoded), train, prepared.weights, root, Silence())
    evaluation, results = measure(root, prepared, decoded, EvaluateSettings(train, folds=0))
    assert {path.name for path in results.iterdir()} == FILES
    assert evaluation.cross_validation is None
    rows = pq.read_table(results / "predictions.parquet").to_pylist()
    assert len(rows) == COUNT
    right = {
        split: [row["predicted"] == row["label"] for row in rows if row["split"] == split]
        for split in ("test", "train")
    }
    assert sum(right["test"]) == evaluation.metrics.correct
    assert len(right["test"]) == evaluation.metrics.photos
    assert sum(right["train"]) > 0.9 * len(right["train"])
    assert {row["label"] for row in rows} == set(LABELS)


def test_settings_of_the_evaluation_are_in_its_key(prepared: Prepared) -> None:
    train = FinetuneSettings(prepared.backbone, "png", epochs=2, batch_size=8, learning_rate=0.01, seed=0)
    keys = {
        EvaluateSettings(train, folds=0).key("snap"),
        EvaluateSettings(replace(train, epochs=3), folds=0).key("snap"),
        EvaluateSettings(train, folds=0).key("other"),
        EvaluateSettings(settings(), folds=0).key("snap"),
        EvaluateSettings(settings(), folds=2).key("snap"),
    }
    assert len(keys) == 5


def test_settings_of_every_way_to_train_come_back_from_the_command_line(prepared: Prepared) -> None:
    parameter = SettingsParameter(EvaluateSettings)
    network = FinetuneSettings(prepared.backbone, "png", epochs=2, batch_size=8, learning_rate=0.01, seed=0)
    for train in (settings(), classic(), network):
        how = EvaluateSettings(train, folds=0)
        assert parameter.parse(parameter.serialize(how)) == how
