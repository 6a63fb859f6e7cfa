"""A data root with drawn bottlenecks in it, as the stages before training leave it, for the tests of watching."""

from dataclasses import asdict
from typing import TypeVar

import pyarrow as pa

from tasks.paths import AnyPath
from tasks.progress import NullProgress, Progress
from tasks.shards.manifests import Manifest, StageResult, read_manifest
from tasks.storage.layout import DataRoot, manifest_path
from tasks.train.head_training import train_head
from tasks.train.photos import EmbeddedPhotos, load_photos
from tasks.train.settings import TrainSettings
from tests.bottleneck.pictures import key_of, manifest_of
from tests.support.data_root import LABELS, SNAPSHOT_KEY, publish_snapshot, snapshot_row
from tests.train.examples import BOTTLENECK, draw_examples

PathT = TypeVar("PathT", bound=AnyPath)


def fill(root: DataRoot) -> None:
    """Publish a snapshot of 150 photos, their bottlenecks, and the manifest of the bottleneck stage."""
    drawn = draw_examples((60, 50, 40), apart=1.5)
    names = [LABELS[label] for label in drawn.labels]
    publish_snapshot(root, [snapshot_row(number, f"{name}/{number}.jpg") for number, name in enumerate(names)])
    store = BOTTLENECK.store(root)
    rows = [
        {"sha256": key_of(number), "view": view, "bottleneck": vector}
        for number, views in enumerate(drawn.numbers)
        for view, vector in enumerate(views)
    ]
    shard = store.append(pa.Table.from_pylist(rows, store.schema))
    manifest_of("bottleneck", len(names), [shard]).publish(manifest_path(store.folder, SNAPSHOT_KEY))


def photos(root: DataRoot, settings: TrainSettings) -> EmbeddedPhotos:
    """Load the photos that `fill` published."""
    manifest = read_manifest(manifest_path(root.bottleneck(BOTTLENECK.key), SNAPSHOT_KEY))
    return load_photos(SNAPSHOT_KEY, [manifest], settings, root)


def head_folder(root: DataRoot[PathT], settings: TrainSettings) -> PathT:
    """Return the folder of the head of these settings."""
    return root.train(settings.key(SNAPSHOT_KEY))


def train(root: DataRoot[PathT], settings: TrainSettings, progress: Progress | None = None) -> PathT:
    """Train a head and publish its manifest, as the train stage does; return the head's folder."""
    folder = head_folder(root, settings)
    trained = train_head(photos(root, settings), SNAPSHOT_KEY, folder, None, progress or NullProgress())
    outcome = StageResult(folder.name, SNAPSHOT_KEY, asdict(settings), 1, 1, 0, details=dict(trained.choice))
    Manifest(stage="train", run="test", seconds=0.0, **vars(outcome)).publish(folder / "manifest.json")
    return folder
