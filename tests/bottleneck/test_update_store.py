"""Updating the bottleneck store: only missing photos are embedded, and lost pictures are an error."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tasks.bottleneck.forward import open_forward
from tasks.bottleneck.quantisation import quantise
from tasks.bottleneck.settings import BottleneckSettings, Distortion
from tasks.bottleneck.update_store import EmbedCounts, EmbedInputs, WantedPhotos, embed_photos
from tasks.bottleneck.views import draw_views
from tasks.decode.photos import open_stores
from tasks.errors import StoreError
from tasks.progress import NullProgress
from tasks.storage.layout import DataRoot
from tests.bottleneck.networks import lite
from tests.bottleneck.pictures import add_bottlenecks, add_pictures, decoded_store, draw, key_of, keys_of
from tests.train.tiny import tiny

SIZE = 64
PREPARED = lite(SIZE)
SETTINGS = BottleneckSettings(PREPARED.backbone, encoding="png", precision="float32", views=2)
DISTORTION = Distortion(2, flip_left_right=True, random_crop=0, random_scale=0, random_brightness=10, seed=0)

RUN = """
import json, sys
from pathlib import Path
import pyarrow as pa
from tasks.settings import settings_from
from tasks.storage.layout import DataRoot
from tasks.bottleneck.update_store import EmbedInputs, WantedPhotos, embed_photos
from tasks.bottleneck.settings import BottleneckSettings
from tasks.progress import NullProgress

root, (keys, decoded, settings) = sys.argv[1], map(json.loads, sys.argv[2:])
inputs = EmbedInputs(DataRoot(Path(root)), settings_from(BottleneckSettings, settings), Path("nowhere"))
print(embed_photos(WantedPhotos(pa.array(keys), decoded), inputs, NullProgress()).reused)
sys.exit("tensorflow" in sys.modules)
"""


@pytest.fixture
def small(root: DataRoot, tmp_path: Path) -> EmbedInputs:
    """The bottlenecks of a small backbone of two layers."""
    prepared = tiny(tmp_path)
    return EmbedInputs(root, replace(SETTINGS, backbone=prepared.backbone), prepared.weights)


def embed(numbers: Sequence[int], pictures: int, inputs: EmbedInputs) -> EmbedCounts:
    return embed_photos(WantedPhotos(keys_of(numbers), pictures), inputs, NullProgress())


def test_only_missing_photos_are_embedded_and_their_rows_are_the_backbone_s(small: EmbedInputs) -> None:
    root, settings, weights = small
    store = settings.store(root)
    first = embed(range(5), decoded_store(root, settings.decode, [range(5)]).photos, small)
    assert (first.new, first.reused) == (5, 0)
    assert list(first.shards) == [shard.name for shard in store.shards()]

    decoded_store(root, settings.decode, [range(5, 7)])
    second = embed(range(7), 7, small)
    assert (second.new, second.reused) == (2, 5)
    (new,) = set(second.shards) - set(first.shards)
    rows = pq.read_table(store.folder / new).to_pylist()
    assert sorted((row["sha256"], row["view"]) for row in rows) == [
        (key, view) for key in keys_of([5, 6]).to_pylist() for view in (0, 1)
    ]

    pictures = {key_of(number): draw(number, settings.backbone.size)[None] for number in (5, 6)}
    forward = open_forward(settings, weights, store.folder, NullProgress())
    for row in rows:
        view = draw_views([row["sha256"]], pictures[row["sha256"]], 2)[row["view"]]
        assert row["bottleneck"] == quantise(forward(view), settings.quantisation, [row["sha256"]])[0].tolist()


def test_photos_without_a_picture_are_left_out_unless_another_run_has_decoded_them_since(small: EmbedInputs) -> None:
    root, settings, _ = small
    decoded = decoded_store(root, settings.decode, [range(2)])
    add_pictures(open_stores(root, settings.decode).decoded, [2], settings.backbone.size)
    assert embed(range(5), decoded.photos, small).new == 3
    assert settings.store(root).read(keys_of(range(5))).num_rows == 6


def test_shards_are_those_that_hold_wanted_photos(root: DataRoot) -> None:
    pictures = decoded_store(root, SETTINGS.decode, [range(3)]).photos
    shards = [
        add_bottlenecks(SETTINGS.store(root), numbers, 2, SETTINGS.backbone.width)
        for numbers in ([0, 7], [8, 9], [1, 2])
    ]
    inputs = EmbedInputs(root, SETTINGS, PREPARED.weights)
    new, reused, names = embed(range(3), pictures, inputs)
    assert (new, reused, set(names)) == (0, 3, {shards[0].name, shards[2].name})
    assert embed([], 0, inputs) == (0, 0, ())


def test_lost_pictures_are_an_error_that_names_what_to_delete(root: DataRoot) -> None:
    decoded = decoded_store(root, SETTINGS.decode, [range(3), range(3, 5)])
    (root.decode(SETTINGS.decode.key) / decoded.shards[1]).unlink()
    with pytest.raises(StoreError, match=r"has 3 of 5 pictures: shards are gone\. Delete its folder manifests"):
        embed(range(5), decoded.photos, EmbedInputs(root, SETTINGS, PREPARED.weights))


def test_tensorflow_is_not_loaded_if_nothing_is_missing(root: DataRoot) -> None:
    decoded = decoded_store(root, SETTINGS.decode, [range(3)])
    add_bottlenecks(SETTINGS.store(root), range(3), 2, SETTINGS.backbone.width)
    values = keys_of(range(3)).to_pylist(), decoded.photos, asdict(SETTINGS)
    command = [sys.executable, "-c", RUN, str(root.path), *map(json.dumps, values)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "3\n"), done.stderr


@pytest.mark.parametrize(
    "change",
    [
        {"backbone": replace(SETTINGS.backbone, weights_sha256="0" * 64)},
        {"backbone": replace(SETTINGS.backbone, scaling="raw")},
        {"backbone": replace(SETTINGS.backbone, size=SIZE + 1)},
        {"backbone": replace(SETTINGS.backbone, crop="stretch")},
        {"backbone": replace(SETTINGS.backbone, layers=("pool_3:0",))},
        {"encoding": "jpeg"},
        {"precision": "float16"},
        {"views": 1},
        {"distortion": DISTORTION},
        {"distortion": replace(DISTORTION, seed=1)},
    ],
)
def test_every_setting_that_changes_bottlenecks_changes_the_key(change: dict[str, object]) -> None:
    changed: BottleneckSettings = replace(SETTINGS, **change)  # type: ignore[arg-type]  # each of its own type
    assert changed.key != SETTINGS.key
