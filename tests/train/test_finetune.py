"""The network that a stage keeps: trained on one split, measured on another, with all that is needed to use it."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.backbone.backbones import Prepared
from tasks.decode.photos import open_stores
from tasks.errors import BackboneError
from tasks.paths import to_path
from tasks.progress import NullProgress
from tasks.shards.manifests import Manifest
from tasks.storage.files import listed
from tasks.storage.layout import DataRoot
from tasks.train.finetune import Pictured, finetune
from tasks.train.network import FACTS, WEIGHTS, read_network
from tasks.train.photos import load_pictured
from tasks.train.pictures import open_pictures
from tasks.train.schedule import LEAST_STEPS
from tasks.train.settings import FinetuneSettings
from tasks.train.training_state import CHECKPOINTS, read_announced
from tests.bottleneck.pictures import encode
from tests.support.progress import Tally
from tests.support.servers.object_store import ObjectStore
from tests.train.tiny import DECODE, LABELS, SIZE, coloured_snapshot, tiny

COUNT = 90


@pytest.fixture
def root(tmp_path: Path) -> DataRoot[Path]:
    return DataRoot(tmp_path)


@pytest.fixture
def prepared(root: DataRoot[Path]) -> Prepared:
    return tiny(root.path)


@pytest.fixture
def decoded(root: DataRoot[Path]) -> Manifest:
    return coloured_snapshot(root, COUNT)


@pytest.fixture
def settings(prepared: Prepared) -> FinetuneSettings:
    return FinetuneSettings(prepared.backbone, "png", epochs=2, batch_size=8, learning_rate=0.01, seed=0)


def test_a_network_is_trained_and_kept_on_an_object_store(
    object_store: ObjectStore, prepared: Prepared, settings: FinetuneSettings
) -> None:
    root: DataRoot = DataRoot(to_path(object_store.url("data")))
    decoded = coloured_snapshot(root, COUNT)
    facts = finetune(Pictured("snap", decoded), settings, prepared.weights, root, NullProgress())
    folder = root.train(settings.key("snap"))
    assert {FACTS, WEIGHTS, "training.json"} < {path.name for path in listed(folder)}
    assert listed(folder / CHECKPOINTS) == []
    photos = load_pictured("snap", decoded, DECODE, root)
    with open_pictures(photos, photos.of("validation"), DECODE, root) as pictures:
        predicted = read_network(folder, prepared).probabilities(pictures, NullProgress())
        assert (predicted.argmax(axis=1) == pictures.labels).mean() == facts["validation_accuracy"]
    # The second time there is nothing to do.
    assert finetune(Pictured("snap", decoded), settings, prepared.weights, root, Tally()) == facts


def test_kept_network_predicts_and_names_what_it_stands_on(
    root: DataRoot[Path], prepared: Prepared, decoded: Manifest, settings: FinetuneSettings
) -> None:
    facts = finetune(Pictured("snap", decoded), settings, prepared.weights, root, NullProgress())
    folder = root.train(settings.key("snap"))
    assert {path.name for path in folder.iterdir()} == {FACTS, WEIGHTS, "training.json"}
    assert facts == json.loads((folder / FACTS).read_text())
    assert (facts["labels"], facts["snapshot"], facts["decode"]) == (list(LABELS), "snap", DECODE.key)
    assert facts["settings"] == json.loads(json.dumps(asdict(settings)))
    assert (facts["steps"], facts["passes"]) == (LEAST_STEPS, LEAST_STEPS * 8)

    photos = load_pictured("snap", decoded, DECODE, root)
    network = read_network(folder, prepared)
    with open_pictures(photos, photos.of("validation"), DECODE, root) as pictures:
        probabilities = network.probabilities(pictures, NullProgress())
    truth = photos.truth[photos.of("validation")]
    assert facts["train_photos"] == photos.of("train").sum()
    assert facts["validation_photos"] == len(truth)
    assert facts["validation_accuracy"] == (probabilities.argmax(axis=1) == truth).mean() > 0.7
    naive = [-np.log(float(row[label])) for row, label in zip(probabilities, truth, strict=True)]
    assert facts["validation_log_loss"] == pytest.approx(np.mean(naive), rel=1e-5)


def test_a_second_time_the_network_is_read_and_not_trained_again(
    root: DataRoot[Path], prepared: Prepared, decoded: Manifest, settings: FinetuneSettings
) -> None:
    first = finetune(Pictured("snap", decoded), settings, prepared.weights, root, NullProgress())
    weights = root.train(settings.key("snap")) / WEIGHTS
    written = weights.stat().st_mtime_ns
    assert finetune(Pictured("snap", decoded), settings, prepared.weights, root, told := Tally()) == first
    assert told.beginnings == 0
    assert weights.stat().st_mtime_ns == written


def test_photos_of_the_other_splits_take_no_part_in_training(
    tmp_path: Path, prepared: Prepared, settings: FinetuneSettings
) -> None:
    trained = []
    for name in ("one", "other"):
        root = DataRoot(tmp_path / name)
        decoded = coloured_snapshot(root, COUNT)
        if name == "other":
            photos = load_pictured("snap", decoded, DECODE, root)
            blacken(
                root, [key for key, split in zip(photos.sha256, photos.splits.names, strict=True) if split != "train"]
            )
        finetune(Pictured("snap", decoded), settings, prepared.weights, root, NullProgress())
        trained.append(read_network(root.train(settings.key("snap")), prepared).model.get_weights())
    assert all(np.array_equal(*pair) for pair in zip(*trained, strict=True))


def blacken(root: DataRoot[Path], keys: list[str]) -> None:
    """Write a decoded store again, with black pictures of some photos."""
    store = open_stores(root, DECODE).decoded
    black = encode(np.zeros((SIZE, SIZE, 3), np.uint8))
    for shard in store.shards():
        rows = pq.read_table(shard).to_pylist()
        shard.unlink()
        for row in rows:
            if row["sha256"] in keys:
                row["image"]["bytes"] = black
        store.append(pa.Table.from_pylist(rows, store.schema))


def test_training_says_what_it_is(
    root: DataRoot[Path], prepared: Prepared, decoded: Manifest, settings: FinetuneSettings
) -> None:
    finetune(Pictured("snap", decoded), settings, prepared.weights, root, NullProgress())
    announced = read_announced(root.train(settings.key("snap")))
    assert announced is not None
    assert (announced.settings, announced.snapshot) == (settings, "snap")


def test_weights_that_are_not_those_of_the_settings_are_an_error(
    root: DataRoot[Path], prepared: Prepared, decoded: Manifest, settings: FinetuneSettings
) -> None:
    others = replace(settings, backbone=replace(settings.backbone, weights_sha256="0" * 64))
    with pytest.raises(BackboneError, match="has changed since the run began"):
        finetune(Pictured("snap", decoded), others, prepared.weights, root, NullProgress())


@pytest.mark.parametrize(
    "change",
    [{"encoding": "jpeg"}, {"epochs": 3}, {"batch_size": 9}, {"learning_rate": 0.02}, {"seed": 1}, {"size": SIZE + 1}],
)
def test_every_setting_changes_the_key(settings: FinetuneSettings, change: dict[str, object]) -> None:
    if "size" in change:
        change = {"backbone": replace(settings.backbone, size=SIZE + 1)}
    changed = replace(settings, **change)  # type: ignore[arg-type]  # each of its own type
    assert changed.key("snap") != settings.key("snap") != settings.key("other")
