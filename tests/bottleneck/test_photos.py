"""The bottleneck store kept up to date: only what is missing is embedded, and what is lost is told."""

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tasks.artifacts import DataRoot
from tasks.bottleneck.backbones import describe_backbone
from tasks.bottleneck.extract import mirror
from tasks.bottleneck.forward import Forward
from tasks.bottleneck.photos import embed_photos
from tasks.bottleneck.settings import BottleneckSettings, bottleneck_settings
from tasks.catalog import find_backbone
from tasks.decode.photos import open_stores
from tasks.decode.settings import DecodeSettings
from tasks.errors import BackboneError, StoreError
from tasks.progress import Silence
from tests.bottleneck.pictures import add_bottlenecks, add_pictures, decoded_store, draw, key_of, keys_of, manifest_of

SIZE = 64
BACKBONE = describe_backbone(find_backbone("efficientnet_lite0"), SIZE)
SETTINGS = bottleneck_settings(BACKBONE, DecodeSettings(SIZE, SIZE, encoding="png"), views=2)

RUN = """
import json, sys
from pathlib import Path
import pyarrow as pa
from tasks.artifacts import DataRoot, Manifest
from tasks.bottleneck.photos import embed_photos
from tasks.bottleneck.settings import BottleneckSettings
from tasks.decode.settings import DecodeSettings
from tasks.progress import Silence

root, wanted, decoded, settings = sys.argv[1], *map(json.loads, sys.argv[2:])
settings = BottleneckSettings(**settings | {"decode": DecodeSettings(**settings["decode"])})
print(embed_photos(pa.array(wanted), Manifest(**decoded), settings, DataRoot(Path(root)), Silence()).reused)
sys.exit("tensorflow" in sys.modules)
"""


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    return DataRoot(tmp_path)


def test_only_what_is_missing_is_embedded_and_its_rows_are_the_backbone_s(root: DataRoot) -> None:
    store = SETTINGS.store(root)
    first = embed_photos(keys_of(range(5)), decoded_store(root, SETTINGS.decode, [range(5)]), SETTINGS, root, Silence())
    assert (first.new, first.reused) == (5, 0)
    assert list(first.shards) == [shard.name for shard in store.shards()]

    more = decoded_store(root, SETTINGS.decode, [range(5, 7)])
    second = embed_photos(keys_of(range(7)), replace(more, photos=7), SETTINGS, root, Silence())
    assert (second.new, second.reused) == (2, 5)
    (new,) = set(second.shards) - set(first.shards)
    rows = pq.read_table(store.folder / new).to_pylist()
    assert sorted((row["sha256"], row["view"]) for row in rows) == [
        (key, v) for key in keys_of([5, 6]).to_pylist() for v in (0, 1)
    ]

    pictures = {key_of(number): draw(number, SIZE)[None] for number in (5, 6)}
    forward = Forward(BACKBONE)
    for row in rows:
        pixels = pictures[row["sha256"]]
        expected = forward(mirror(pixels) if row["view"] else pixels)[0]
        np.testing.assert_array_equal(np.array(row["bottleneck"], np.float32), expected)


def test_photos_without_a_picture_are_left_out_and_those_that_another_run_has_decoded_since_are_not(
    root: DataRoot,
) -> None:
    decoded = decoded_store(root, SETTINGS.decode, [range(2)])
    add_pictures(open_stores(root, SETTINGS.decode).decoded, [2], SIZE)
    counts = embed_photos(keys_of(range(5)), decoded, SETTINGS, root, Silence())
    rows = SETTINGS.store(root).read(keys_of(range(5)))
    assert (counts.new, rows.num_rows) == (3, 6)


def test_shards_list_only_those_that_hold_wanted_photos(root: DataRoot) -> None:
    decoded = decoded_store(root, SETTINGS.decode, [range(3)])
    shards = [add_bottlenecks(SETTINGS.store(root), numbers, 2, 1280) for numbers in ([0, 7], [8, 9], [1, 2])]
    counts = embed_photos(keys_of(range(3)), decoded, SETTINGS, root, Silence())
    assert (counts.new, counts.reused) == (0, 3)
    assert set(counts.shards) == {shards[0].name, shards[2].name}


def test_lost_pictures_are_an_error_that_says_what_to_delete(root: DataRoot) -> None:
    decoded = decoded_store(root, SETTINGS.decode, [range(3), range(3, 5)])
    (root.decode(SETTINGS.decode.key) / decoded.shards[1]).unlink()
    with pytest.raises(StoreError, match=r"has 3 of 5 pictures: shards are gone\. Delete its folder manifests"):
        embed_photos(keys_of(range(5)), decoded, SETTINGS, root, Silence())


def test_weights_that_changed_since_the_settings_were_made_are_an_error(root: DataRoot) -> None:
    decoded = decoded_store(root, SETTINGS.decode, [range(2)])
    with pytest.raises(BackboneError, match="has other weights for efficientnet_lite0"):
        embed_photos(keys_of(range(2)), decoded, replace(SETTINGS, weights_sha256="0" * 64), root, Silence())


def test_tensorflow_is_not_loaded_where_nothing_is_missing(root: DataRoot) -> None:
    decoded = decoded_store(root, SETTINGS.decode, [range(3)])
    add_bottlenecks(SETTINGS.store(root), range(3), 2, 1280)
    values = keys_of(range(3)).to_pylist(), asdict(decoded), asdict(SETTINGS)
    command = [sys.executable, "-c", RUN, str(root.path), *map(json.dumps, values)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "3\n"), done.stderr


@pytest.mark.parametrize(
    "change",
    [
        {"backbone": "another"},
        {"weights_sha256": "0" * 64},
        {"mean": 0.0},
        {"scale": 255.0},
        {"precision": "float16"},
        {"views": 1},
        {"decode": DecodeSettings(SIZE, SIZE + 1, encoding="png")},
    ],
)
def test_every_setting_that_changes_bottlenecks_changes_the_key(change: dict[str, object]) -> None:
    changed: BottleneckSettings = replace(SETTINGS, **change)  # type: ignore[arg-type]  # each of its own type
    assert changed.key != SETTINGS.key


def test_manifest_of_nothing_wanted_gives_nothing(root: DataRoot) -> None:
    counts = embed_photos(keys_of([]), manifest_of("decode", 0, []), SETTINGS, root, Silence())
    assert (counts.new, counts.reused, counts.shards) == (0, 0, ())
