"""The network that a stage publishes: trained on one split, measured on another, with all that is needed to use it."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.backbone.backbones import Prepared
from tasks.decode.photos import open_stores
from tasks.paths import AnyPath, to_path
from tasks.progress import NullProgress, Progress
from tasks.run_context import RunContext
from tasks.storage.files import listed
from tasks.storage.layout import DataRoot
from tasks.train.finetune import finetune
from tasks.train.network import FACTS, WEIGHTS, read_network
from tasks.train.photos import load_pictured
from tasks.train.pictures import open_pictures
from tasks.train.schedule import LEAST_STEPS
from tasks.train.settings import FinetuneSettings
from tasks.train.training_state import CHECKPOINTS, Training, read_announced
from tests.bottleneck.pictures import encode
from tests.support.progress import Tally
from tests.support.servers.object_store import ObjectStore
from tests.train.tiny import DECODE, LABELS, SIZE, coloured_snapshot

pytestmark = pytest.mark.slow

PHOTOS = 90


class Run:
    """A run that fine-tunes the tiny backbone on coloured photos."""

    def __init__(self, folder: AnyPath, prepared: Prepared) -> None:
        self.root, self.prepared = DataRoot(folder), prepared
        self.decoded = coloured_snapshot(self.root, PHOTOS)
        self.settings = FinetuneSettings(prepared.backbone, "png", epochs=2, batch_size=8, learning_rate=0.01, seed=0)

    @property
    def network(self) -> AnyPath:
        """Folder of the network."""
        return self.root.train(self.settings.key("snap"))

    def finetune(self, progress: Progress | None = None) -> Mapping[str, Any]:
        """Fine-tune, and return the facts."""
        weights = (self.settings.backbone.weights_sha256, str(self.prepared.weights))
        context = RunContext(data_root=str(self.root.path), snapshot="snap", weights=(weights,))
        return finetune(self.decoded, self.settings, context, progress or NullProgress())


@pytest.fixture
def run(tmp_path: Path, prepared: Prepared) -> Run:
    return Run(tmp_path, prepared)


def test_a_network_is_published_on_an_object_store(object_store: ObjectStore, prepared: Prepared) -> None:
    run = Run(to_path(object_store.url("data")), prepared)
    facts = run.finetune()
    assert {FACTS, WEIGHTS, "training.json"} < {path.name for path in listed(run.network)}
    assert listed(run.network / CHECKPOINTS) == []
    photos = load_pictured("snap", run.decoded, DECODE, run.root)
    with open_pictures(photos, photos.of("validation"), DECODE, run.root) as pictures:
        predicted = read_network(run.network, prepared).probabilities(pictures, NullProgress())
        assert (predicted.argmax(axis=1) == pictures.labels).mean() == facts["validation_accuracy"]
    # The second time there is nothing to do.
    assert run.finetune(Tally()) == facts


def test_published_network_predicts_and_names_its_inputs_and_is_not_trained_again(run: Run) -> None:
    facts = run.finetune()
    assert {path.name for path in run.network.iterdir()} == {FACTS, WEIGHTS, "training.json"}
    assert facts == json.loads((run.network / FACTS).read_text())
    assert (facts["labels"], facts["snapshot"], facts["decode"]) == (list(LABELS), "snap", DECODE.key)
    assert facts["settings"] == json.loads(json.dumps(asdict(run.settings)))
    assert (facts["steps"], facts["passes"]) == (LEAST_STEPS, LEAST_STEPS * 8)
    assert read_announced(run.network) == Training(run.settings, "snap")

    photos = load_pictured("snap", run.decoded, DECODE, run.root)
    with open_pictures(photos, photos.of("validation"), DECODE, run.root) as pictures:
        probabilities = read_network(run.network, run.prepared).probabilities(pictures, NullProgress())
    truth = photos.truth[photos.of("validation")]
    assert facts["train_photos"] == photos.of("train").sum()
    assert facts["validation_photos"] == len(truth)
    assert facts["validation_accuracy"] == (probabilities.argmax(axis=1) == truth).mean() > 0.7
    naive = [-np.log(float(row[label])) for row, label in zip(probabilities, truth, strict=True)]
    assert facts["validation_log_loss"] == pytest.approx(np.mean(naive), rel=1e-5)

    written = (run.network / WEIGHTS).stat().st_mtime_ns
    assert run.finetune(told := Tally()) == facts
    assert told.beginnings == 0
    assert (run.network / WEIGHTS).stat().st_mtime_ns == written


def test_photos_of_the_other_splits_take_no_part_in_training(tmp_path: Path, prepared: Prepared) -> None:
    one, other = (Run(tmp_path / name, prepared) for name in ("one", "other"))
    photos = load_pictured("snap", other.decoded, DECODE, other.root)
    blacken(other.root, np.array(photos.sha256)[~photos.of("train")].tolist())
    trained = []
    for run in (one, other):
        run.finetune()
        trained.append(read_network(run.network, prepared).model.get_weights())
    assert all(map(np.array_equal, *trained))


def blacken(root: DataRoot, keys: list[str]) -> None:
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
