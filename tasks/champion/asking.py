"""Asks the champion what it says of photos that were not there when it was evaluated."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.artifacts import DataRoot
from tasks.backbone.backbones import Prepared
from tasks.decode.images import read_pixels
from tasks.decode.photos import decode_photos, open_stores
from tasks.errors import BackboneError, ModelError, StoreError
from tasks.paths import AnyPath
from tasks.predict.models import Model, read_model
from tasks.progress import Progress
from tasks.train.head import Head, load_head
from tasks.train.photos import read_bottlenecks
from tasks.train.settings import TrainSettings
from tasks.train.vectors import choose


class ChampionGoneError(ModelError):
    """Something of the champion is gone or damaged; the text names it, as the subject of a sentence."""


class Source(NamedTuple):
    """Where everything is.

    Args:
        root: The stores and the models.
        folder: The folder that photos' paths are relative to.
        prepared: The new model's backbone.
    """

    root: DataRoot
    folder: AnyPath
    prepared: Prepared


@dataclass(frozen=True, eq=False)
class Asked:
    """A model that can be asked.

    Args:
        model: The model.
        head: Its head; None where it is a fine-tuned network.
    """

    model: Model
    head: Head | None


@contextmanager
def needing(what: str) -> Iterator[None]:
    """Say of a block that fails what of the champion is gone or damaged."""
    try:
        yield
    except (BackboneError, FileNotFoundError, ModelError, StoreError) as exc:
        raise ChampionGoneError(what) from exc


def open_champion(key: str, source: Source) -> Asked:
    """Read a champion, without what turns pictures into bottlenecks.

    Raises:
        ChampionGoneError: It is gone or damaged.
    """
    folder = source.root.train(key)
    with needing("its model"):
        # Its own backbone is looked for where it is needed alone.
        model = read_model(folder, source.prepared.weights)
        return Asked(model, load_head(folder) if isinstance(model.settings, TrainSettings) else None)


def ask(champion: Asked, photos: pa.Table, source: Source, progress: Progress) -> dict[str, str]:
    """Ask a champion what photos show: from their bottlenecks where its store has them, else from their pictures.

    Where its backbone is that of the new models, their nights have made both, and no network has to be loaded.

    Args:
        champion: The champion.
        photos: Those to ask of, with the columns `sha256` (each once) and `path`.
        source: Where everything is.
        progress: Told of the photos of which pictures are needed.

    Returns:
        The predicted label by sha256; photos without a picture are missing.

    Raises:
        ChampionGoneError: Its network or its backbone is gone or damaged.
        StoreError: A shard is damaged.
    """
    answers: dict[str, str] = {}
    settings = champion.model.settings
    if champion.head is not None and isinstance(settings, TrainSettings):
        answers = _from_bottlenecks(champion.head, settings, photos, source.root)
    left = photos.filter(pc.invert(pc.is_in(photos["sha256"], value_set=pa.array(answers, pa.string()))))
    return answers | (_from_pictures(champion.model, left, source, progress) if left.num_rows else {})


def _from_bottlenecks(head: Head, settings: TrainSettings, photos: pa.Table, root: DataRoot) -> dict[str, str]:
    keys, views = photos["sha256"].combine_chunks(), settings.predicting_views
    vectors, filled = read_bottlenecks(keys, settings.bottleneck, root)
    there: npt.NDArray[np.bool_] = np.asarray(filled[:, views].all(axis=1))
    probabilities = head.probabilities(choose(vectors, there, views))
    said = (head.labels[place] for place in probabilities.argmax(axis=1))
    return dict(zip(keys.filter(pa.array(there)).to_pylist(), said, strict=True))


def _from_pictures(model: Model, photos: pa.Table, source: Source, progress: Progress) -> dict[str, str]:
    store = open_stores(source.root, model.settings.decode)
    # Nobody knows here how large their files are.
    sized = photos.append_column("bytes", pa.array([0] * photos.num_rows, pa.int64()))
    decode_photos(sized, source.folder, store, progress)
    keys = photos["sha256"].combine_chunks()
    keys = keys.filter(pa.array(store.decoded.found(keys)))
    if not len(keys):
        return {}
    with progress.preparing("imports"):
        from tasks.predict.predictor import Predictor  # noqa: PLC0415 (only where a network has to be loaded)

    with needing("its network or backbone"):
        if model.prepared.backbone != source.prepared.backbone:
            model = read_model(model.folder)
        predictor = Predictor(model, progress)
    answers: dict[str, str] = {}
    progress.start(len(keys), "photos")
    for rows in store.decoded.rows(keys, ["sha256", "image"]):
        images = rows["image"].combine_chunks().field("bytes").to_pylist()
        probabilities = predictor.predict(np.stack([read_pixels(image) for image in images]))
        said = (model.labels[place] for place in probabilities.argmax(axis=1))
        answers |= dict(zip(rows["sha256"].to_pylist(), said, strict=True))
        progress.advance(rows.num_rows)
    return answers
