"""Asks the champion what it says of photos that were not there when it was evaluated."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from tasks.bottleneck.settings import BottleneckSettings
from tasks.bottleneck.update_store import Wanted, embed_photos
from tasks.decode.images import read_pixels
from tasks.decode.photos import DecodeStores, decode_photos, open_stores
from tasks.errors import BackboneError, ModelError, StoreError
from tasks.paths import AnyPath
from tasks.predict.models import Model, read_model
from tasks.progress import Progress
from tasks.storage.errors import DamagedError
from tasks.storage.layout import DataRoot
from tasks.train.features import Features, head_values
from tasks.train.head import Head, load_head
from tasks.train.settings import TrainSettings

#: What is raised where a model or its backbone is gone.
_GONE = (BackboneError, FileNotFoundError, ModelError)


class ChampionGoneError(ModelError):
    """Something of the champion is gone or damaged; the text names it, as the subject of a sentence."""


class OutdatedChampionError(ChampionGoneError):
    """An earlier version of this project trained the champion, so that it cannot be asked any more."""


class ChampionInputs(NamedTuple):
    """Where everything is.

    Args:
        root: The stores and the models.
        folder: The folder that photos' paths are relative to.
        weights: Where the weights of the new model's backbones are, by their sha256.
    """

    root: DataRoot
    folder: AnyPath
    weights: Mapping[str, AnyPath]


@dataclass(frozen=True, eq=False)
class ChampionModel:
    """A model that can be asked.

    Args:
        model: The model.
        head: Its head with its settings; None where it is a fine-tuned network.
    """

    model: Model
    head: tuple[Head, TrainSettings] | None


@contextmanager
def needing(what: str, faults: tuple[type[Exception], ...] = (*_GONE, StoreError)) -> Iterator[None]:
    """Say of a block that fails what of the champion is gone or damaged."""
    try:
        yield
    except faults as exc:
        raise ChampionGoneError(what) from exc


def open_champion(key: str, source: ChampionInputs) -> ChampionModel:
    """Read a champion, without what turns pictures into bottlenecks.

    Raises:
        OutdatedChampionError: It is of another version.
        ChampionGoneError: It is gone or damaged.
    """
    folder = source.root.train(key)
    try:
        with needing("its model", (*_GONE, DamagedError)):
            model = read_model(folder, source.weights)
            settings = model.settings
            return ChampionModel(model, (load_head(folder), settings) if isinstance(settings, TrainSettings) else None)
    except StoreError as exc:
        raise OutdatedChampionError("its model") from exc


def predict_with_champion(
    champion: ChampionModel, photos: pa.Table, source: ChampionInputs, progress: Progress
) -> dict[str, str]:
    """Ask a champion what photos show: a head from its bottlenecks, a fine-tuned network from its pictures.

    What its stores lack is added to them first. Where its backbones are those of the new models, their runs have made
    all of it, and no network has to be loaded.

    Args:
        champion: The champion.
        photos: Those to ask of, with the columns `sha256` (each once) and `path`.
        source: Where everything is.
        progress: Told of the photos that are decoded and embedded.

    Returns:
        The predicted label by sha256; photos without a picture are missing.

    Raises:
        ChampionGoneError: Its network or a backbone is gone or damaged.
        StoreError: A shard is damaged.
    """
    if not photos.num_rows:
        return {}
    if champion.head is None:
        return _ask_network(champion.model, photos, source, progress)
    head, settings = champion.head
    keys = photos["sha256"].combine_chunks()
    for bottleneck in settings.bottlenecks:
        missing = photos.filter(pa.array(~bottleneck.store(source.root).found(keys)))
        if missing.num_rows:
            _embed(missing, bottleneck, champion.model, source, progress)
    features = Features(keys, settings, source.root)
    answers: dict[str, str] = {}
    for places, numbers in features.blocks(features.there):
        probabilities = head.probabilities(head_values(numbers, settings, features.columns))
        said = (head.labels[place] for place in probabilities.argmax(axis=1))
        answers |= dict(zip(keys.take(pa.array(places)).to_pylist(), said, strict=True))
    return answers


def _embed(
    photos: pa.Table, bottleneck: BottleneckSettings, model: Model, source: ChampionInputs, progress: Progress
) -> None:
    """Add photos to a bottleneck store of the champion, and before to the decoded one, as far as they are missing."""
    _decode(photos, open_stores(source.root, bottleneck.decode), source, progress)
    with needing("its network or backbone", _GONE):
        weights = model.weights_of(bottleneck.backbone)
        # No stage has promised any pictures of them.
        wanted = Wanted(photos["sha256"].combine_chunks(), pictures=0)
        embed_photos(wanted, bottleneck, weights, source.root, progress)


def _decode(photos: pa.Table, stores: DecodeStores, source: ChampionInputs, progress: Progress) -> None:
    # Nobody knows here how large their files are.
    sized = photos.append_column("bytes", pa.array([0] * photos.num_rows, pa.int64()))
    decode_photos(sized, source.folder, stores, progress)


def _ask_network(model: Model, photos: pa.Table, source: ChampionInputs, progress: Progress) -> dict[str, str]:
    stores = open_stores(source.root, model.settings.decodes[0])
    _decode(photos, stores, source, progress)
    keys = photos["sha256"].combine_chunks()
    keys = keys.filter(pa.array(stores.decoded.found(keys)))
    if not len(keys):
        return {}
    with progress.preparing("imports"):
        from tasks.predict.predictor import Predictor  # noqa: PLC0415 (only where a network has to be loaded)

    with needing("its network or backbone"):
        predictor = Predictor(model, progress)
    answers: dict[str, str] = {}
    progress.start(len(keys), "photos")
    for rows in stores.decoded.rows(keys, ["sha256", "image"]):
        images = rows["image"].combine_chunks().field("bytes").to_pylist()
        probabilities = predictor.predict([np.stack([read_pixels(image) for image in images])])
        said = (model.labels[place] for place in probabilities.argmax(axis=1))
        answers |= dict(zip(rows["sha256"].to_pylist(), said, strict=True))
        progress.advance(rows.num_rows)
    return answers
