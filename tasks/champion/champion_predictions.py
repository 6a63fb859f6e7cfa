"""Predictions of the champion for photos that were added since its evaluation."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from tasks.bottleneck.settings import BottleneckSettings
from tasks.bottleneck.update_store import EmbedInputs, WantedPhotos, embed_photos
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

#: Errors that a missing model or backbone raises.
_GONE = (BackboneError, FileNotFoundError, ModelError)


class ChampionGoneError(ModelError):
    """A part of the champion is missing or damaged; the text names it, as the subject of a sentence."""


class OutdatedChampionError(ChampionGoneError):
    """An earlier version of this project trained the champion, so that it cannot predict any more."""


class ChampionInputs(NamedTuple):
    """Stores, photos and weights."""

    root: DataRoot  #: The data root, with stores and models.
    folder: AnyPath  #: Folder that photos' paths are relative to.
    weights: Mapping[str, AnyPath]  #: Paths of the weights of the new model's backbones, by their sha256.


class ChampionModel(NamedTuple):
    """A champion that can predict."""

    model: Model
    head: tuple[Head, TrainSettings] | None  #: Its head with the head's settings; None for a fine-tuned network.


@contextmanager
def champion_intact(part: str, errors: tuple[type[Exception], ...] = (*_GONE, StoreError)) -> Iterator[None]:
    """Raise ChampionGoneError, which names a part of the champion, where the block fails with one of these errors."""
    try:
        yield
    except errors as exc:
        raise ChampionGoneError(part) from exc


def open_champion(key: str, inputs: ChampionInputs) -> ChampionModel:
    """Read a champion, without the networks that embed pictures.

    Raises:
        OutdatedChampionError: It is of another version.
        ChampionGoneError: It is missing or damaged.
    """
    folder = inputs.root.train(key)
    try:
        with champion_intact("its model", (*_GONE, DamagedError)):
            model = read_model(folder, inputs.weights)
            settings = model.settings
            return ChampionModel(model, (load_head(folder), settings) if isinstance(settings, TrainSettings) else None)
    except StoreError as exc:
        raise OutdatedChampionError("its model") from exc


def predict_with_champion(
    champion: ChampionModel, photos: pa.Table, inputs: ChampionInputs, progress: Progress
) -> dict[str, str]:
    """Predict photos: with a head from their bottlenecks, with a fine-tuned network from their pictures.

    Missing bottlenecks and pictures are added to the champion's stores first. Where its backbones are those of the new
    models, the runs have made all of them, and no network is loaded. Photos have the columns `sha256` (each once) and
    `path`.

    Returns:
        The predicted label by sha256, without photos that have no picture.

    Raises:
        ChampionGoneError: Its network or a backbone is missing or damaged.
        StoreError: A shard is damaged.
    """
    if not photos.num_rows:
        return {}
    if champion.head is None:
        return _predict_with_network(champion.model, photos, inputs, progress)
    head, settings = champion.head
    keys = photos["sha256"].combine_chunks()
    for bottleneck in settings.bottlenecks:
        missing = photos.filter(pa.array(~bottleneck.store(inputs.root).found(keys)))
        if missing.num_rows:
            _embed(missing, bottleneck, champion.model, inputs, progress)
    features = Features.find(keys, settings, inputs.root)
    predicted: dict[str, str] = {}
    for indices, numbers in features.blocks(features.complete):
        probabilities = head.probabilities(head_values(numbers, settings, features.columns))
        labels = (head.labels[index] for index in probabilities.argmax(axis=1))
        predicted |= dict(zip(keys.take(pa.array(indices)).to_pylist(), labels, strict=True))
    return predicted


def _embed(
    photos: pa.Table, bottleneck: BottleneckSettings, model: Model, inputs: ChampionInputs, progress: Progress
) -> None:
    """Add missing pictures of photos to the decoded store, then their bottlenecks to a store of the champion."""
    _decode(photos, open_stores(inputs.root, bottleneck.decode), inputs, progress)
    with champion_intact("its network or backbone", _GONE):
        weights = model.weights_of(bottleneck.backbone)
        # No stage has promised any pictures of them.
        wanted = WantedPhotos(photos["sha256"].combine_chunks(), pictures=0)
        embed_photos(wanted, EmbedInputs(inputs.root, bottleneck, weights), progress)


def _decode(photos: pa.Table, stores: DecodeStores, inputs: ChampionInputs, progress: Progress) -> None:
    # The predictions do not tell the sizes of the files.
    sized = photos.append_column("bytes", pa.array([0] * photos.num_rows, pa.int64()))
    decode_photos(sized, inputs.folder, stores, progress)


def _predict_with_network(model: Model, photos: pa.Table, inputs: ChampionInputs, progress: Progress) -> dict[str, str]:
    stores = open_stores(inputs.root, model.settings.decodes[0])
    _decode(photos, stores, inputs, progress)
    keys = photos["sha256"].combine_chunks()
    keys = keys.filter(pa.array(stores.decoded.found(keys)))
    if not len(keys):
        return {}
    with progress.preparing("imports"):
        from tasks.predict.predictor import Predictor  # noqa: PLC0415 (only where a network has to be loaded)

    with champion_intact("its network or backbone"):
        predictor = Predictor(model, progress)
    predicted: dict[str, str] = {}
    progress.start(len(keys), "photos")
    for rows in stores.decoded.rows(keys, ["sha256", "image"]):
        images = rows["image"].combine_chunks().field("bytes").to_pylist()
        probabilities = predictor.predict([np.stack([read_pixels(image) for image in images])])
        labels = (model.labels[index] for index in probabilities.argmax(axis=1))
        predicted |= dict(zip(rows["sha256"].to_pylist(), labels, strict=True))
        progress.advance(rows.num_rows)
    return predicted
