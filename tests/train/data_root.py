"""A data root with drawn bottlenecks in it, as the stages before training leave it, for the tests of watching."""

from dataclasses import asdict
from typing import TypeVar

from tasks.paths import AnyPath
from tasks.progress import NullProgress, Progress
from tasks.shards.manifests import Manifest, StageResult, read_manifest
from tasks.storage.layout import DataRoot, manifest_path
from tasks.train.head_training import train_head
from tasks.train.photos import EmbeddedPhotos, load_photos
from tests.bottleneck.pictures import add_vectors, manifest_of
from tests.support.data_root import LABELS, SNAPSHOT_KEY, publish_snapshot, snapshot_row
from tests.train.examples import BOTTLENECK, classic, draw_examples

PathT = TypeVar("PathT", bound=AnyPath)

#: Settings of the head that is watched.
CLASSIC = classic(learning_rate=0.05)


def fill(root: DataRoot) -> None:
    """Publish a snapshot of 150 photos, their bottlenecks, and the manifest of the bottleneck stage."""
    drawn = draw_examples((60, 50, 40), apart=1.5)
    paths = [f"{LABELS[label]}/{number}.jpg" for number, label in enumerate(drawn.labels)]
    publish_snapshot(root, [snapshot_row(number, path) for number, path in enumerate(paths)])
    shard = add_vectors(BOTTLENECK.store(root), dict(enumerate(drawn.numbers)))
    manifest_of("bottleneck", len(paths), [shard]).publish(manifest_path(shard.parent, SNAPSHOT_KEY))


def photos(root: DataRoot) -> EmbeddedPhotos:
    manifest = read_manifest(manifest_path(root.bottleneck(BOTTLENECK.key), SNAPSHOT_KEY))
    return load_photos(SNAPSHOT_KEY, [manifest], CLASSIC, root)


def head_folder(root: DataRoot[PathT]) -> PathT:
    return root.train(CLASSIC.key(SNAPSHOT_KEY))


def train(root: DataRoot[PathT], progress: Progress | None = None) -> PathT:
    """Train the head and publish its manifest, as the train stage does; return its folder."""
    folder = head_folder(root)
    trained = train_head(photos(root), SNAPSHOT_KEY, folder, None, progress or NullProgress())
    outcome = StageResult(folder.name, SNAPSHOT_KEY, asdict(CLASSIC), 1, 1, 0, details=dict(trained.choice))
    Manifest(stage="train", run="test", seconds=0.0, **vars(outcome)).publish(folder / "manifest.json")
    return folder
