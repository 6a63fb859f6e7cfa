"""A data root with drawn bottlenecks in it, as the stages before training leave it, for the tests of watching."""

from dataclasses import asdict
from typing import TypeVar

import pyarrow as pa

from tasks.paths import AnyPath
from tasks.progress import NullProgress, Progress
from tasks.shards.manifests import Manifest, StageResult, read_manifest
from tasks.storage.layout import DataRoot, manifest_path
from tasks.train.photos import EmbeddedPhotos, load_photos
from tasks.train.settings import TrainSettings
from tasks.train.training import train_head
from tests.bottleneck.pictures import key_of, manifest_of
from tests.support.data_root import LABELS, SNAPSHOT_KEY, publish_snapshot, snapshot_row
from tests.train.examples import BOTTLENECK, Drawn, draw_examples

PathT = TypeVar("PathT", bound=AnyPath)


def fill(root: DataRoot, drawn: Drawn | None = None) -> None:
    """Publish a snapshot, its bottlenecks, and the manifest that says that they are all there.

    Args:
        root: The data root.
        drawn: Bottlenecks of up to three labels; None draws 150.
    """
    drawn = draw_examples((60, 50, 40), apart=1.5) if drawn is None else drawn
    names = [LABELS[label] for label in drawn.labels]
    publish_snapshot(root, [snapshot_row(number, f"{name}/{number}.jpg") for number, name in enumerate(names)])
    store = BOTTLENECK.store(root)
    vectors = [
        {"sha256": key_of(number), "view": view, "bottleneck": vector}
        for number, views in enumerate(drawn.numbers)
        for view, vector in enumerate(views)
    ]
    shard = store.append(pa.Table.from_pylist(vectors, store.schema))
    manifest_of("bottleneck", len(names), [shard]).publish(manifest_path(store.folder, SNAPSHOT_KEY))


def photos(root: DataRoot, settings: TrainSettings) -> EmbeddedPhotos:
    """Load what `fill` published."""
    there = read_manifest(manifest_path(root.bottleneck(BOTTLENECK.key), SNAPSHOT_KEY))
    return load_photos(SNAPSHOT_KEY, [there], settings, root)


def head_folder(root: DataRoot[PathT], settings: TrainSettings) -> PathT:
    """Folder of the head that these settings give."""
    return root.train(settings.key(SNAPSHOT_KEY))


def train(root: DataRoot[PathT], settings: TrainSettings, progress: Progress | None = None) -> PathT:
    """Train a head and publish its manifest, as the train stage does; returns the head's folder."""
    folder = head_folder(root, settings)
    trained = train_head(photos(root, settings), SNAPSHOT_KEY, folder, None, progress or NullProgress())
    outcome = StageResult(folder.name, SNAPSHOT_KEY, asdict(settings), 1, 1, 0, details=dict(trained.choice))
    Manifest(stage="train", run="test", seconds=0.0, **vars(outcome)).publish(folder / "manifest.json")
    return folder
