"""Predictions of a champion for new photos: from stored bottlenecks, from pictures, or from the photos' files."""

import hashlib
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tasks.backbone.backbones import Backbone, Prepared
from tasks.bottleneck.settings import BottleneckSettings
from tasks.champion.champion_predictions import ChampionGoneError, ChampionInputs, open_champion, predict_with_champion
from tasks.decode.images import decode_photo, read_pixels
from tasks.decode.photos import open_stores
from tasks.decode.settings import Crop
from tasks.predict.models import read_model
from tasks.predict.predictor import Predictor
from tasks.progress import NullProgress
from tasks.storage.layout import DataRoot
from tasks.train.features import columns_of, head_values
from tests.bottleneck.pictures import add_bottlenecks, add_pictures, encode, key_of, manifest_of, numbers_of
from tests.champion.cases import inputs
from tests.support.data_root import keep_head
from tests.support.progress import Tally
from tests.train.examples import BOTTLENECK, classic, settings
from tests.train.tiny import DECODE, SIZE, coloured, tiny

NUMBERS = range(12)
SQUEEZED = replace(DECODE, crop="stretch")


def photos(numbers: range) -> pa.Table:
    return pa.table({"sha256": [key_of(number) for number in numbers], "path": [f"{number}.png" for number in numbers]})


@pytest.mark.parametrize("recipe", ["lda", "classic"])
def test_a_head_is_asked_of_the_bottlenecks_that_are_there_with_the_views_that_predict(
    root: DataRoot[Path], recipe: str
) -> None:
    how = settings() if recipe == "lda" else classic()
    key, head = keep_head(root, how=how)
    store = BOTTLENECK.store(root)
    for part in (NUMBERS[:5], NUMBERS[5:]):
        add_bottlenecks(store, part, 2, BOTTLENECK.backbone.width)
    progress = Tally()
    predicted = predict_with_champion(open_champion(key, inputs(root)), photos(range(2, 12)), inputs(root), progress)
    columns = columns_of(how)
    expected = {}
    for number in range(2, 12):
        values = head_values(numbers_of(number, 2, BOTTLENECK.backbone.width)[None], how, columns)
        expected[key_of(number)] = head.labels[head.probabilities(values)[0].argmax()]
    assert predicted == expected
    assert len(set(predicted.values())) > 1
    assert (progress.beginnings, progress.prepared) == (0, [])


@pytest.fixture
def prepared(root: DataRoot[Path]) -> Prepared:
    """A backbone other than that of the new models, a real one, which the backbone stage has found before."""
    prepared = tiny(root.path)
    found = replace(manifest_of("backbone", 1, []), settings=asdict(prepared.backbone))
    replace(found, details={"weights": str(prepared.weights)}).publish(root.below("backbone", "tiny") / "x.json")
    return prepared


@pytest.fixture
def key(root: DataRoot[Path], prepared: Prepared) -> str:
    """The key of a champion on that backbone."""
    return keep_head(root, how=settings(bottlenecks=two_crops(prepared.backbone)))[0]


def two_crops(backbone: Backbone) -> tuple[BottleneckSettings, ...]:
    """Bottlenecks of a backbone that sees photos in both ways."""
    crops: tuple[Crop, ...] = ("centre", "stretch")
    return tuple(BottleneckSettings(replace(backbone, crop=crop), "png", "float32", views=2) for crop in crops)


def test_what_the_stores_of_a_head_lack_is_added_to_them(root: DataRoot[Path], key: str) -> None:
    folder = root.path / "photos"
    folder.mkdir()
    rows, pixels = [], []
    for number in range(6):
        data = encode(coloured(number, 40)[:30])
        (folder / f"{number}.png").write_bytes(data)
        rows.append({"sha256": hashlib.sha256(data).hexdigest(), "path": f"{number}.png"})
        pixels.append([read_pixels(decode_photo(data, decode).image) for decode in (DECODE, SQUEEZED)])
    rows.append({"sha256": key_of(99), "path": "vanished.png"})
    there = inputs(root, folder)
    predicted = predict_with_champion(open_champion(key, there), pa.Table.from_pylist(rows), there, Tally())

    predictor = Predictor(read_model(root.train(key)), NullProgress())
    probabilities = predictor.predict([np.stack(same) for same in zip(*pixels, strict=True)])
    labels = [predictor.model.labels[place] for place in probabilities.argmax(axis=1)]
    assert predicted == dict(zip([row["sha256"] for row in rows[:6]], labels, strict=True))
    shutil.rmtree(folder)
    progress = Tally()
    assert (
        predict_with_champion(open_champion(key, there), pa.Table.from_pylist(rows[:6]), there, progress) == predicted
    )
    assert (progress.beginnings, progress.prepared) == (0, []), "what was added is there"


def test_where_its_weights_are_gone_the_backbone_is(root: DataRoot[Path], key: str, prepared: Prepared) -> None:
    prepared.weights.unlink()
    for decode in (DECODE, SQUEEZED):
        add_pictures(open_stores(root, decode).decoded, range(2), SIZE, coloured)
    with pytest.raises(ChampionGoneError, match="its network or backbone"):
        predict_with_champion(open_champion(key, inputs(root)), photos(range(2)), inputs(root), NullProgress())


def test_weights_that_were_put_elsewhere_are_found_where_the_new_models_have_them(
    root: DataRoot[Path], key: str, prepared: Prepared
) -> None:
    moved = prepared.weights.rename(root.path / "elsewhere.keras")
    there = ChampionInputs(root, root.path, {prepared.backbone.weights_sha256: moved})
    assert open_champion(key, there).model.weights_of(prepared.backbone) == moved
