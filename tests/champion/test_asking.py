"""What a champion says of new photos: from bottlenecks that are there, from pictures, or from the photos' files."""

import hashlib
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tasks.artifacts import DataRoot
from tasks.backbone.backbones import Prepared
from tasks.bottleneck.settings import BottleneckSettings
from tasks.champion.asking import ChampionGoneError, Source, ask, open_champion
from tasks.decode.images import decode_photo, read_pixels
from tasks.decode.photos import open_stores
from tasks.predict.models import read_model
from tasks.predict.predictor import Predictor
from tasks.progress import Silence
from tests.bottleneck.pictures import add_bottlenecks, add_pictures, encode, key_of, vectors_of
from tests.champion.models import keep_head, manifest, source
from tests.listening import Tally
from tests.train.examples import BOTTLENECK, classic, settings
from tests.train.tiny import DECODE, SIZE, coloured, tiny

NUMBERS = range(12)


@pytest.fixture
def root(tmp_path: Path) -> DataRoot[Path]:
    return DataRoot(tmp_path)


def photos(numbers: range) -> pa.Table:
    return pa.table({"sha256": [key_of(number) for number in numbers], "path": [f"{number}.png" for number in numbers]})


@pytest.mark.parametrize("recipe", ["adam", "classic"])
def test_a_head_is_asked_of_the_bottlenecks_that_are_there_with_the_views_that_predict(
    root: DataRoot[Path], recipe: str
) -> None:
    key, head = keep_head(root, how=settings() if recipe == "adam" else classic())
    store = BOTTLENECK.store(root)
    for part in (NUMBERS[:5], NUMBERS[5:]):
        add_bottlenecks(store, part, 2, BOTTLENECK.backbone.width)
    progress = Tally()
    answers = ask(open_champion(key, source(root)), photos(range(2, 12)), source(root), progress)
    views = 2 if recipe == "adam" else 1
    expected = {
        key_of(number): head.labels[head.probabilities(vectors_of(number, 2, 6)[None, :views])[0].argmax()]
        for number in range(2, 12)
    }
    assert answers == expected
    assert len(set(answers.values())) > 1
    assert (progress.beginnings, progress.prepared) == (0, [])


@pytest.fixture
def prepared(root: DataRoot[Path]) -> Prepared:
    """A backbone other than that of the new models, a real one, which the backbone stage has found before."""
    prepared = tiny(root.path)
    found = manifest("backbone", "x", asdict(prepared.backbone), {"weights": str(prepared.weights)})
    found.publish(root.backbone("tiny") / "x.json")
    return prepared


@pytest.fixture
def key(root: DataRoot[Path], prepared: Prepared) -> str:
    """The key of a champion on that backbone."""
    bottleneck = BottleneckSettings(prepared.backbone, "png", "float32", views=2)
    return keep_head(root, how=settings(bottleneck=bottleneck))[0]


def test_photos_are_read_from_the_decoded_store_or_else_from_their_files(root: DataRoot[Path], key: str) -> None:
    stored, pictures = range(4), {number: coloured(number, SIZE) for number in range(4)}
    add_pictures(open_stores(root, DECODE).decoded, stored, SIZE, coloured)
    folder = root.path / "photos"
    folder.mkdir()
    rows, files = photos(stored).to_pylist(), {}
    for number in range(4, 10):
        data = encode(coloured(number, 40))
        (folder / f"{number}.png").write_bytes(data)
        files[hashlib.sha256(data).hexdigest()] = read_pixels(decode_photo(data, DECODE).image)
        rows.append({"sha256": hashlib.sha256(data).hexdigest(), "path": f"{number}.png"})
    rows.append({"sha256": key_of(99), "path": "vanished.png"})
    progress = Tally()
    answers = ask(open_champion(key, source(root)), pa.Table.from_pylist(rows), source(root, folder), progress)

    everything = {**{key_of(number): pixels for number, pixels in pictures.items()}, **files}
    predictor = Predictor(read_model(root.train(key)), Silence())
    probabilities = predictor.predict(np.stack(list(everything.values())))
    assert answers == {
        sha256: predictor.model.labels[place]
        for sha256, place in zip(everything, probabilities.argmax(axis=1), strict=True)
    }
    assert (progress.total, progress.done) == (10, 10)


def test_where_its_weights_are_gone_the_backbone_is(root: DataRoot[Path], key: str, prepared: Prepared) -> None:
    prepared.weights.unlink()
    add_pictures(open_stores(root, DECODE).decoded, range(2), SIZE, coloured)
    with pytest.raises(ChampionGoneError, match="its network or backbone"):
        ask(open_champion(key, source(root)), photos(range(2)), source(root), Silence())


def test_weights_that_were_put_elsewhere_are_found_where_the_new_models_have_them(
    root: DataRoot[Path], key: str, prepared: Prepared
) -> None:
    moved = prepared.weights.rename(root.path / "elsewhere.keras")
    add_pictures(open_stores(root, DECODE).decoded, range(2), SIZE, coloured)
    place = Source(root, root.path, Prepared(prepared.backbone, moved))
    assert len(ask(open_champion(key, place), photos(range(2)), place, Silence())) == 2
