"""Bottlenecks on Ray: the same rows as on this machine, byte by byte, for missing photos only."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tasks.backbone.backbones import Prepared
from tasks.bottleneck import on_ray
from tasks.bottleneck.on_ray import _blocks, embed_on_cluster, embedding_job
from tasks.bottleneck.precision import Precision
from tasks.bottleneck.settings import BottleneckSettings
from tasks.bottleneck.update_store import EmbedInputs, PendingPhotos, WantedPhotos, embed_photos
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

pytestmark = pytest.mark.slow

PHOTOS, FIRST = 40, 7


@pytest.fixture
def small(tmp_path: Path) -> Prepared:
    """A small backbone of two layers."""
    return tiny(tmp_path)


@pytest.fixture
def settings(small: Prepared) -> BottleneckSettings:
    return BottleneckSettings(small.backbone, encoding="png", precision="float32", views=2)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that this machine has a GPU."""
    monkeypatch.setattr(on_ray, "find_hardware", lambda: Hardware(gpu=True, bfloat16=False))


def decoded(root: DataRoot, settings: BottleneckSettings, numbers: range) -> Manifest:
    """Add the pictures of numbers, in shards of ten."""
    return decoded_store(root, settings.decode, [range(start, start + 10) for start in numbers[::10]])


def test_missing_photos_are_embedded_on_ray_as_on_this_machine(
    small: Prepared, settings: BottleneckSettings, tmp_path: Path
) -> None:
    here, there = DataRoot(tmp_path / "here"), DataRoot(tmp_path / "there")
    manifest = [decoded(root, settings, range(PHOTOS)) for root in (here, there)][-1]
    first = WantedPhotos(keys_of(range(FIRST)), FIRST)
    for root in (here, there):
        embed_photos(first, EmbedInputs(root, settings, small.weights), NullProgress())
    wanted, progress = WantedPhotos(keys_of(range(PHOTOS)), manifest.photos), Tally()
    local = embed_photos(wanted, EmbedInputs(here, settings, small.weights), NullProgress())
    counts = embed_on_cluster(wanted, EmbedInputs(there, settings, small.weights), Cluster(cpus=2), progress)
    assert (counts.new, counts.reused) == (local.new, local.reused) == (PHOTOS - FIRST, FIRST)
    assert progress == Tally(PHOTOS - FIRST, "photo", PHOTOS - FIRST, 1, [], ["cluster", "cluster"])
    stored = [
        settings.store(root).read(wanted.keys).sort_by([("sha256", "ascending"), ("view", "ascending")])
        for root in (here, there)
    ]
    assert stored[0] == stored[1]
    assert stored[0].num_rows == 2 * PHOTOS
    assert len(counts.shards) == len(settings.store(there).shards())


def test_no_cluster_is_contacted_if_nothing_is_missing(
    small: Prepared, settings: BottleneckSettings, root: DataRoot
) -> None:
    inputs = EmbedInputs(root, settings, small.weights)
    wanted = WantedPhotos(keys_of(range(10)), decoded(root, settings, range(10)).photos)
    embed_photos(wanted, inputs, NullProgress())
    counts = embed_on_cluster(wanted, inputs, Cluster("nobody:1"), NullProgress())
    assert (counts.new, counts.reused) == (0, 10)


@pytest.mark.parametrize(
    ("precision", "gpus", "message"),
    [("int8", 1, "int8 is computed by processors"), ("float32", 0, "Give --gpus-per-actor too, or --engine local")],
)
@pytest.mark.usefixtures("gpu")
def test_actors_have_gpus_if_and_only_if_they_use_them(
    precision: Precision, gpus: float, message: str, small: Prepared, settings: BottleneckSettings, root: DataRoot
) -> None:
    inputs = EmbedInputs(root, replace(settings, precision=precision), small.weights)
    wanted = WantedPhotos(keys_of(range(10)), decoded(root, settings, range(10)).photos)
    with pytest.raises(SettingError, match=message):
        embed_on_cluster(wanted, inputs, Cluster("nobody:1", gpus), NullProgress())


def test_block_needs_the_weights_and_leaves_its_rows_once_if_it_is_done_again(
    small: Prepared, settings: BottleneckSettings, root: DataRoot[Path]
) -> None:
    shard = add_pictures(open_stores(root, settings.decode).decoded, range(10), settings.decode.size)
    block = pa.table({"sha256": keys_of(range(4, 10)), "shard": [shard.name] * 6})
    inputs = EmbedInputs(root, settings, small.weights)
    with pytest.raises(BackboneError, match=r"gone\.keras"):
        embedding_job(inputs._replace(weights=root.path / "gone.keras")).work(block)
    # The second time by another actor.
    assert [embedding_job(inputs).work(block), embedding_job(inputs).work(block)] == [6, 6]
    [written] = settings.store(root).shards()
    with settings.store(root).open(written) as file:
        assert file.metadata.num_rows == 2 * 6


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
