"""Photos, data root and weights on an object store: the same pictures and bottlenecks as on this machine."""

from collections import Counter
from pathlib import Path

import pyarrow as pa

from tasks.backbone.backbones import Prepared
from tasks.bottleneck.settings import BottleneckSettings
from tasks.bottleneck.task import ExtractBottlenecks
from tasks.decode.photos import open_stores
from tasks.paths import AnyPath, to_path
from tasks.progress import NullProgress
from tasks.run_context import RunContext
from tasks.shards.parquet import publish_parquet
from tasks.snapshot.photos import take_snapshot
from tasks.storage.layout import DataRoot
from tests.decode.drawing import encode, smooth
from tests.support.servers.gateway import Gateway
from tests.support.servers.object_store import ObjectStore
from tests.train.tiny import tiny

PHOTOS = 40
GONE, EDITED = "tulips/3.jpg", "roses/8.jpg"


def fill(folder: AnyPath) -> None:
    for number in range(PHOTOS):
        photo = folder / f"{('roses', 'tulips')[number % 2]}/{number}.jpg"
        if isinstance(photo, Path):
            photo.parent.mkdir(parents=True, exist_ok=True)
        photo.write_bytes(encode(smooth(40 + number, 50), "JPEG"))


def run(folder: AnyPath, root: DataRoot, prepared: Prepared, weights: AnyPath) -> list[pa.Table]:
    """Take a snapshot, lose two photos, and run the stages; returns the rows of all stores, sorted."""
    snapshot = take_snapshot(folder, None, NullProgress())
    publish_parquet(root.snapshot(snapshot.key), snapshot.table)
    (folder / GONE).unlink()
    (folder / EDITED).write_bytes(encode(smooth(90, 90), "JPEG"))
    settings = BottleneckSettings(prepared.backbone, encoding="png", precision="float32", views=2)
    stage = ExtractBottlenecks(
        context=RunContext(
            data_root=str(root.path),
            snapshot=snapshot.key,
            photos=str(folder),
            weights=((prepared.backbone.weights_sha256, str(weights)),),
            max_rejected=0.1,
        ),
        settings=settings,
    )
    for task in (stage.requires(), stage):
        assert not task.complete()
        task.run()
        assert task.complete()
    assert (stage.manifest().new, stage.requires().manifest().details["skipped"]) == (PHOTOS - 2, 2)
    keys = snapshot.table["sha256"].combine_chunks()
    stores = open_stores(root, settings.decode)
    tables = [store.read(keys) for store in (stores.decoded, stores.rejected, settings.store(root))]
    return [
        table.sort_by([(name, "ascending") for name in ("sha256", "view") if name in table.column_names])
        for table in tables
    ]


def test_rows_are_those_of_a_local_run_and_requests_are_few(
    object_store: ObjectStore, gateway: Gateway, tmp_path: Path
) -> None:
    prepared = tiny(tmp_path)
    here = tmp_path / "photos"
    fill(here)
    expected = run(here, DataRoot(tmp_path / "data"), prepared, prepared.weights)
    there, root = to_path(object_store.url("photos")), DataRoot(to_path(object_store.url("data")))
    fill(there)
    weights = to_path(object_store.url("tiny.keras"))
    weights.write_bytes(prepared.weights.read_bytes())
    before = len(gateway.seen)
    assert run(there, root, prepared, weights) == expected
    kinds = Counter((request.kind, "/photos/" in request.key) for request in gateway.seen[before:])
    assert kinds["GET", True] == 2 * PHOTOS, "each is read for its hash, and for its picture"
    assert kinds.total() - 2 * PHOTOS <= 80
