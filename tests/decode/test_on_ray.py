"""Decoding on Ray: only missing photos are decoded, to the rows of a run on this machine, even if a node dies."""

import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from ray.cluster_utils import Cluster as RayNodes

from tasks.cluster.addresses import Cluster
from tasks.cluster.client import text_of
from tasks.decode import on_ray
from tasks.decode.on_ray import DecodeBlock, cut, decode_on_cluster
from tasks.decode.photos import DecodeCounts, decode_photos, open_stores
from tasks.decode.rejections import Reason
from tasks.decode.settings import DecodeSettings
from tasks.paths import AnyPath, to_path
from tasks.progress import NullProgress
from tasks.storage.layout import DataRoot
from tests.cluster.ray_nodes import nodes
from tests.decode.drawing import encode, photos_in, smooth
from tests.decode.test_photos import draw
from tests.snapshot.parquet.parquet_files import image_table, parquet
from tests.snapshot.photo_files import put
from tests.support.progress import Tally
from tests.support.servers.object_store import ObjectStore

pytestmark = pytest.mark.slow

SETTINGS = DecodeSettings(size=16, resize=16)
MAX_PIXELS = 40 * 40
DRAWN, FIRST = 36, 6


@pytest.fixture(scope="module")
def ray_nodes(object_store: ObjectStore) -> Iterator[RayNodes]:
    """A cluster of two nodes beside its head, which can reach the object store; one of them dies in a test."""
    assert object_store.environment.items() <= os.environ.items(), "nodes take theirs when they start"
    with nodes(0, 1, 1) as cluster:
        yield cluster


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Drawn photos; one that is none, one that is too large, and one that will be gone."""
    folder = tmp_path / "photos"
    draw(folder, 0, DRAWN)
    (folder / "note.jpg").write_text("text")
    (folder / "large.jpg").write_bytes(encode(smooth(80, 60), "JPEG"))
    (folder / "vanished.jpg").write_bytes(encode(smooth(30, 30), "JPEG"))
    return folder


@pytest.fixture
def photos(folder: Path) -> pa.Table:
    """The snapshot's table of the folder, from which one photo is gone since."""
    table = photos_in(folder)
    (folder / "vanished.jpg").unlink()
    return table


def rows(root: AnyPath, photos: pa.Table) -> list[pa.Table]:
    """All that is stored, in the order of the keys."""
    stores, keys = open_stores(DataRoot(root), SETTINGS), photos.column("sha256").combine_chunks()
    return [store.read(keys).sort_by("sha256") for store in (stores.decoded, stores.rejected)]


def work_on(folder: Path, root: AnyPath) -> DecodeBlock:
    return DecodeBlock(text_of(root), text_of(folder), SETTINGS, SETTINGS.key, MAX_PIXELS)


def rows_written(root: AnyPath) -> int:
    """Count the rows, including those that are stored twice."""
    return sum(shard.file.metadata.num_rows for shard in open_stores(DataRoot(root), SETTINGS).decoded.opened())


def test_what_is_missing_is_decoded_on_ray_as_on_this_machine(
    folder: Path, photos: pa.Table, tmp_path: Path, ray_nodes: RayNodes
) -> None:
    here, there = DataRoot(tmp_path / "here"), DataRoot(tmp_path / "there")
    # One photo that is too large, as each run finds anew, among those that a run before has left.
    too_large = photos.filter(pc.equal(photos.column("path"), "large.jpg"))
    before = pa.concat_tables([photos.slice(0, FIRST), too_large])
    local = [
        decode_photos(wanted, folder, open_stores(root, SETTINGS), NullProgress(), MAX_PIXELS)
        for root, wanted in ((here, before), (there, before), (here, photos))
    ][-1]
    shards = set(open_stores(there, SETTINGS).decoded.shards())
    progress = Tally()
    counts = decode_on_cluster(photos, work_on(folder, there.path), Cluster(ray_nodes.address), progress)
    assert counts == local
    assert (counts.new, counts.reused, counts.rejected, counts.rejected_before) == (DRAWN - FIRST, FIRST, 1, 1)
    assert [(photo.path, photo.reason) for photo in counts.skipped] == [("vanished.jpg", Reason.VANISHED)]
    assert progress == Tally(photos.num_rows - FIRST, "photos", photos.num_rows - FIRST, 1, [], ["cluster", "cluster"])
    assert rows(there.path, photos) == rows(here.path, photos)
    assert shards < set(open_stores(there, SETTINGS).decoded.shards())


def test_a_block_is_sent_without_the_photos_of_the_others() -> None:
    photos = pa.table({"sha256": [f"{number:064}" for number in range(10_000)], "bytes": range(10_000)})
    blocks = cut(photos, 300)
    assert pa.concat_tables(blocks).equals(photos.combine_chunks())
    # 64 digits and two numbers of up to 8 bytes a photo.
    assert max(len(pickle.dumps(block)) for block in blocks) < 300 * 80 + 2000


def test_nobody_is_asked_where_nothing_is_missing(folder: Path, photos: pa.Table, tmp_path: Path) -> None:
    first = photos.slice(0, FIRST)
    decode_photos(first, folder, open_stores(DataRoot(tmp_path), SETTINGS), NullProgress())
    counts = decode_on_cluster(first, work_on(folder, tmp_path), Cluster("nobody:1"), NullProgress())
    assert counts == DecodeCounts(0, FIRST, 0, 0, ())


def test_nothing_is_lost_where_a_node_of_several_dies_in_the_middle(
    folder: Path,
    photos: pa.Table,
    tmp_path: Path,
    object_store: ObjectStore,
    ray_nodes: RayNodes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here, there = tmp_path / "here", to_path(object_store.url("data"))
    decode_photos(photos, folder, open_stores(DataRoot(here), SETTINGS), NullProgress(), MAX_PIXELS)
    # Blocks so small that there are several for each node.
    monkeypatch.setattr(on_ray, "_LEAST", 3)

    class Killing(Tally):
        def advance(self, count: int) -> None:
            if not self.done:
                ray_nodes.remove_node(min(ray_nodes.worker_nodes, key=id), allow_graceful=False)
            super().advance(count)

    counts = decode_on_cluster(photos, work_on(folder, there), Cluster(ray_nodes.address), Killing())
    assert (counts.new, counts.rejected) == (DRAWN, 2)
    assert rows(there, photos) == rows(here, photos)
    assert rows_written(there) == DRAWN, "none stands twice"


def test_a_block_that_is_done_again_leaves_its_rows_once(folder: Path, photos: pa.Table, tmp_path: Path) -> None:
    block = photos.append_column("too_large", pa.array([False] * photos.num_rows))
    work = work_on(folder, tmp_path)
    assert work(block) == work(block)
    assert rows_written(tmp_path) == DRAWN


def test_rows_of_parquet_files_are_decoded_on_ray_in_their_order(
    folder: Path, tmp_path: Path, ray_nodes: RayNodes
) -> None:
    photos = photos_in(folder)
    files = [folder / path for path in photos["path"].to_pylist()]
    images = [{"bytes": path.read_bytes(), "path": path.name} for path in files]
    put(tmp_path / "rows", {"a.parquet": parquet(image_table(images, label=[0] * len(images)))})
    rows_there = pa.array([f"a.parquet#{number}/{path.name}" for number, path in enumerate(files)])
    table = photos.set_column(photos.column_names.index("path"), "path", rows_there).sort_by("sha256")
    here, there = tmp_path / "here", tmp_path / "there"
    local = decode_photos(table, tmp_path / "rows", open_stores(DataRoot(here), SETTINGS), NullProgress(), MAX_PIXELS)
    counts = decode_on_cluster(table, work_on(tmp_path / "rows", there), Cluster(ray_nodes.address), NullProgress())
    assert counts == local
    assert counts.new == DRAWN + 1
    assert rows(there, table) == rows(here, table)
