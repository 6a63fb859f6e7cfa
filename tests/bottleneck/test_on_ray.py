"""Bottlenecks on Ray: the rows of a run on this machine, byte by byte, of what is missing alone."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tasks.backbone.backbones import Prepared
from tasks.bottleneck import on_ray
from tasks.bottleneck.on_ray import Embedding, _blocks, embed_on_cluster
from tasks.bottleneck.precision import Precision
from tasks.bottleneck.settings import BottleneckSettings
from tasks.bottleneck.update_store import PendingPhotos, Wanted, embed_photos
from tasks.cluster.addresses import Cluster
from tasks.decode.photos import open_stores
from tasks.errors import BackboneError, SettingError
from tasks.hardware import Hardware
from tasks.progress import NullProgress
from tasks.shards.manifests import Manifest
from tasks.storage.layout import DataRoot
from tests.bottleneck.pictures import add_pictures, decoded_store, keys_of
from tests.support.progress import Tally
from tests.train.tiny import tiny

PHOTOS, FIRST = 40, 7


@pytest.fixture
def small(tmp_path: Path) -> Prepared:
    """A backbone of two layers, which is ready in a moment."""
    return tiny(tmp_path)


@pytest.fixture
def settings(small: Prepared) -> BottleneckSettings:
    return BottleneckSettings(small.backbone, encoding="png", precision="float32", views=2)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine has one."""
    monkeypatch.setattr(on_ray, "find_hardware", lambda: Hardware(gpu=True, bfloat16=False))


def decoded(root: DataRoot, settings: BottleneckSettings, numbers: range) -> Manifest:
    """The pictures of some numbers, in shards of ten."""
    return decoded_store(root, settings.decode, [range(start, start + 10) for start in numbers[::10]])


@pytest.mark.parametrize("cpus", [2])
def test_what_is_missing_is_embedded_on_ray_as_on_this_machine(
    cpus: int, small: Prepared, settings: BottleneckSettings, tmp_path: Path
) -> None:
    here, there = DataRoot(tmp_path / "here"), DataRoot(tmp_path / "there")
    manifest = [decoded(root, settings, range(PHOTOS)) for root in (here, there)][-1]
    first = Wanted(keys_of(range(FIRST)), FIRST)
    for root in (here, there):
        embed_photos(first, settings, small.weights, root, NullProgress())
    wanted, progress = Wanted(keys_of(range(PHOTOS)), manifest.photos), Tally()
    local = embed_photos(wanted, settings, small.weights, here, NullProgress())
    counts = embed_on_cluster(wanted, Embedding(there, settings, small.weights), Cluster(cpus=cpus), progress)
    assert (counts.new, counts.reused) == (local.new, local.reused) == (PHOTOS - FIRST, FIRST)
    assert progress == Tally(PHOTOS - FIRST, "photo", PHOTOS - FIRST, 1, [], ["cluster", "cluster"])
    stored = [
        settings.store(root).read(wanted.keys).sort_by([("sha256", "ascending"), ("view", "ascending")])
        for root in (here, there)
    ]
    assert stored[0] == stored[1]
    assert stored[0].num_rows == 2 * PHOTOS
    assert len(counts.shards) == len(settings.store(there).shards())


def test_nobody_is_asked_where_nothing_is_missing(
    small: Prepared, settings: BottleneckSettings, tmp_path: Path
) -> None:
    root = DataRoot(tmp_path)
    wanted = Wanted(keys_of(range(10)), decoded(root, settings, range(10)).photos)
    embed_photos(wanted, settings, small.weights, root, NullProgress())
    counts = embed_on_cluster(wanted, Embedding(root, settings, small.weights), Cluster("nobody:1"), NullProgress())
    assert (counts.new, counts.reused) == (0, 10)


@pytest.mark.parametrize(
    ("precision", "gpus", "told"),
    [("int8", 1, "int8 is computed by processors"), ("float32", 0, "Give --gpus-per-actor too, or --engine local")],
)
@pytest.mark.usefixtures("gpu")
def test_gpus_are_neither_kept_in_vain_nor_forgotten(
    precision: Precision, gpus: float, told: str, small: Prepared, tmp_path: Path
) -> None:
    settings = BottleneckSettings(small.backbone, encoding="png", precision=precision, views=2)
    embedding = Embedding(DataRoot(tmp_path), settings, small.weights)
    wanted = Wanted(keys_of(range(10)), decoded(embedding.root, settings, range(10)).photos)
    with pytest.raises(SettingError, match=told):
        embed_on_cluster(wanted, embedding, Cluster("nobody:1", gpus), NullProgress())


def test_a_block_that_is_done_again_leaves_its_rows_once(
    small: Prepared, settings: BottleneckSettings, tmp_path: Path
) -> None:
    root = DataRoot(tmp_path)
    shard = add_pictures(open_stores(root, settings.decode).decoded, range(10), settings.decode.size)
    block = pa.table({"sha256": keys_of(range(4, 10)), "shard": [shard.name] * 6})
    job = Embedding(root, settings, small.weights).job()
    # Another time by another actor.
    assert [job.work(block), Embedding(root, settings, small.weights).job().work(block)] == [6, 6]
    [written] = settings.store(root).shards()
    with settings.store(root).open(written) as file:
        assert file.metadata.num_rows == 2 * 6


def test_weights_that_a_node_does_not_have_are_told_of(settings: BottleneckSettings, tmp_path: Path) -> None:
    root = DataRoot(tmp_path)
    shard = add_pictures(open_stores(root, settings.decode).decoded, range(1), settings.decode.size)
    block = pa.table({"sha256": keys_of(range(1)), "shard": [shard.name]})
    with pytest.raises(BackboneError, match=r"gone\.keras"):
        Embedding(root, settings, tmp_path / "gone.keras").job().work(block)


@pytest.mark.parametrize(
    ("sizes", "rows", "blocks"),
    [
        ([10, 10, 10], 20, [["a", "b"], ["c"]]),
        ([10, 12, 10], 20, [["a"], ["b"], ["c"]]),
        ([45, 3], 20, [["a"], ["a"], ["a", "b"]]),
        ([1, 1, 1], 20, [["a", "b", "c"]]),
        ([20, 20], 20, [["a"], ["b"]]),
    ],
)
def test_the_photos_of_a_shard_stay_together_as_far_as_a_block_may_hold_them(
    sizes: list[int], rows: int, blocks: list[list[str]], tmp_path: Path
) -> None:
    holders = np.repeat(np.arange(len(sizes)), sizes)
    np.random.default_rng(0).shuffle(holders)
    keys = pa.array([f"{holder}-{place}" for place, holder in enumerate(holders.tolist())])
    cut = list(_blocks(PendingPhotos(keys, [tmp_path / name for name in "abc"[: len(sizes)]], holders), rows))
    assert [block.column("shard").unique().to_pylist() for block in cut] == blocks
    assert all(block.num_rows <= rows for block in cut)
    assert sorted(key for block in cut for key in block.column("sha256").to_pylist()) == sorted(keys.to_pylist())
    told = [("abc"[int(row["sha256"][0])], row["shard"]) for block in cut for row in block.to_pylist()]
    assert all(said == held for said, held in told)
