"""Evaluation: the same files for a head and for a whole network, and a cross-validation only where it is asked for."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.backbone.backbones import Prepared
from tasks.decode.settings import Crop
from tasks.evaluate.evaluation import TrainedOn, evaluate
from tasks.evaluate.label_issues import read_label_issues
from tasks.evaluate.settings import EvaluateSettings
from tasks.parameters import SettingsParameter
from tasks.paths import AnyPath
from tasks.progress import NullProgress
from tasks.run_context import RunContext
from tasks.shards.manifests import Manifest
from tasks.shards.store import ShardStore
from tasks.storage.layout import DataRoot
from tasks.train.features import read_values
from tasks.train.finetune import finetune
from tasks.train.head import load_head
from tasks.train.head_training import train_head
from tasks.train.photos import load_photos
from tasks.train.settings import FinetuneSettings, TrainSettings
from tests.bottleneck.pictures import key_of, manifest_of, numbers_of
from tests.train.examples import BOTTLENECK, classic, settings
from tests.train.tiny import LABELS, coloured_snapshot, tiny

COUNT = 90
CROPS: tuple[Crop, ...] = ("centre", "stretch")
FILES = {"metrics.json", "predictions.parquet"}
NEAR_DUPLICATES = {"near_duplicates", "test_without_near_duplicates"}


@pytest.fixture
def prepared(root: DataRoot[Path]) -> Prepared:
    return tiny(root.path)


@pytest.fixture
def decoded(root: DataRoot[Path]) -> Manifest:
    return coloured_snapshot(root, COUNT)


def measure(
    root: DataRoot[Path], prepared: Prepared, before: Sequence[Manifest], how: EvaluateSettings
) -> tuple[dict[str, Any], Path]:
    """Evaluate; return the metrics and the folder of the results."""
    inputs = TrainedOn(before, prepared.weights)
    return evaluate("snap", how, inputs, root, NullProgress()), root.evaluate(how.key("snap"))


def with_head(root: DataRoot[Path], prepared: Prepared, train: TrainSettings) -> tuple[TrainSettings, list[Manifest]]:
    """Train a head on drawn bottlenecks of two crops, in some shards each."""
    crops = (replace(prepared.backbone, crop=crop) for crop in CROPS)
    train = replace(train, bottlenecks=tuple(replace(BOTTLENECK, backbone=backbone) for backbone in crops))
    embedded = []
    for bottleneck in train.bottlenecks:
        store = bottleneck.store(root)
        shards = [add_vectors(store, range(start, COUNT, 3)) for start in range(3)]
        embedded.append(manifest_of("bottleneck", COUNT, shards))
    photos = load_photos("snap", embedded, train, root)
    train_head(photos, "snap", root.train(train.key("snap")), None, NullProgress())
    return train, embedded


def add_vectors(store: ShardStore, numbers: Sequence[int]) -> AnyPath:
    """Publish bottlenecks of two views, of which the first number tells the label."""
    rows = [
        {
            "sha256": key_of(number),
            "view": view,
            "bottleneck": 40 * (number % 2) * np.eye(1, 8, dtype=np.int16)[0] + own,
        }
        for number in numbers
        for view, own in enumerate(numbers_of(number, 2, 8).astype(np.int16))
    ]
    return store.append(pa.Table.from_pylist(rows, store.schema))


HEADS = pytest.mark.parametrize("how", [settings(), classic()], ids=["lda", "classic"])


@HEADS
@pytest.mark.usefixtures("decoded")
def test_a_head_is_measured_on_the_test_split_predicts_all_photos_and_is_cross_validated_where_that_is_asked_for(
    root: DataRoot[Path], prepared: Prepared, how: TrainSettings
) -> None:
    train, embedded = with_head(root, prepared, how)
    photos, head = load_photos("snap", embedded, train, root), load_head(root.train(train.key("snap")))
    expected = head.probabilities(read_values(photos.features, np.ones(COUNT, bool)))
    for folds in (0, 2):
        metrics, results = measure(root, prepared, embedded, EvaluateSettings(train, folds))
        assert {path.name for path in results.iterdir()} == {
            *FILES,
            "near_duplicates.parquet",
            *(["label_issues.parquet"] if folds else []),
        }
        assert metrics.keys() > NEAR_DUPLICATES
        assert json.loads((results / "metrics.json").read_text()) == metrics
        rows = pq.read_table(results / "predictions.parquet").to_pylist()
        assert [row["sha256"] for row in rows] == photos.sha256
        np.testing.assert_allclose([row["probabilities"] for row in rows], expected, rtol=1e-5)
        test = photos.of("test")
        assert metrics["test"]["photos"] == test.sum()
        assert metrics["test"]["accuracy"] == (expected.argmax(axis=1) == photos.truth)[test].mean()
        crossed = metrics["cross_validation"]
        assert (crossed and crossed["folds"]) == (folds or None)
        assert metrics["label_issues"] == (len(read_label_issues(results)) if folds else None)


@HEADS
@pytest.mark.usefixtures("decoded")
def test_bottlenecks_that_are_read_block_by_block_give_the_same_results(
    root: DataRoot[Path], prepared: Prepared, how: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not to the bit: products of a few rows round as others than those of many."""
    train, embedded = with_head(root, prepared, how)
    held, results = measure(root, prepared, embedded, EvaluateSettings(train, folds=3))
    whole = pq.read_table(results / "predictions.parquet")
    monkeypatch.setattr("tasks.train.features.MOST_HELD", 0)
    monkeypatch.setattr("tasks.train.features.BLOCK_PHOTOS", 7)
    monkeypatch.setattr("tasks.train.tenth_statistics.MAX_SUMMED", 0)
    streamed, _ = measure(root, prepared, embedded, EvaluateSettings(train, folds=3))
    blocks = pq.read_table(results / "predictions.parquet")
    assert blocks["sha256"].equals(whole["sha256"])
    np.testing.assert_allclose(blocks["probabilities"].to_pylist(), whole["probabilities"].to_pylist(), rtol=1e-5)
    found, expected = streamed["cross_validation"], held["cross_validation"]
    assert found["accuracy"] == expected["accuracy"]
    assert found["log_loss"] == pytest.approx(expected["log_loss"], rel=1e-5)


@pytest.mark.slow
def test_fine_tuned_network_gets_metrics_and_predictions_as_a_head_does(
    root: DataRoot[Path], prepared: Prepared, decoded: Manifest
) -> None:
    train = FinetuneSettings(prepared.backbone, "png", epochs=2, batch_size=8, learning_rate=0.01, seed=0)
    weights = ((prepared.backbone.weights_sha256, str(prepared.weights)),)
    context = RunContext(data_root=str(root.path), snapshot="snap", weights=weights)
    finetune(decoded, train, context, NullProgress())
    metrics, results = measure(root, prepared, [decoded], EvaluateSettings(train, folds=0))
    assert {path.name for path in results.iterdir()} == FILES
    assert metrics.keys().isdisjoint(NEAR_DUPLICATES)
    assert metrics["cross_validation"] is None
    rows = pq.read_table(results / "predictions.parquet").to_pylist()
    assert len(rows) == COUNT
    right = {
        split: [row["predicted"] == row["label"] for row in rows if row["split"] == split]
        for split in ("test", "train")
    }
    assert (sum(right["test"]), len(right["test"])) == (metrics["test"]["correct"], metrics["test"]["photos"])
    assert sum(right["train"]) > 0.9 * len(right["train"])
    assert {row["label"] for row in rows} == set(LABELS)


def test_settings_of_every_way_to_train_are_in_the_key_and_come_back_from_the_command_line(prepared: Prepared) -> None:
    network = FinetuneSettings(prepared.backbone, "png", epochs=2, batch_size=8, learning_rate=0.01, seed=0)
    hows = [EvaluateSettings(train, folds=0) for train in (settings(), classic(), network, replace(network, epochs=3))]
    keys = {how.key("snap") for how in hows}
    assert len(keys | {hows[0].key("other"), replace(hows[0], folds=2).key("snap")}) == 6
    parameter = SettingsParameter(EvaluateSettings)
    assert [parameter.parse(parameter.serialize(how)) for how in hows] == hows
