"""A tiny model, trained on coloured photos by the stages themselves, and the photos."""

from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from tasks.backbone.backbones import Backbone, Prepared
from tasks.backbone.request import BackboneRequest
from tasks.backbone.task import PrepareBackbone
from tasks.bottleneck.precision import Precision
from tasks.bottleneck.settings import BottleneckSettings
from tasks.decode.settings import Crop
from tasks.evaluate.settings import EvaluateSettings
from tasks.evaluate.task import EvaluateHead
from tasks.paths import AnyPath
from tasks.progress import NullProgress
from tasks.run_context import RunContext
from tasks.runtime.tensorflow_import import keras
from tasks.shards.parquet import publish_parquet
from tasks.snapshot.photos import take_snapshot
from tasks.storage.layout import DataRoot
from tasks.train.settings import ClassicRecipe, FinetuneSettings, LdaRecipe, TrainSettings
from tests.train.tiny import LABELS, coloured, tiny

COUNT = 40
#: Neither square nor of the backbone's size, so that resizing and cropping matter.
WIDTH, HEIGHT = 30, 22
LDA = LdaRecipe(shrinkage=(0.1,), layer_weights=(1.0,), class_weights=False)
CLASSIC = ClassicRecipe(steps=100, batch_size=16, learning_rate=0.1, averaging=0.9)


@dataclass(frozen=True)
class Trained:
    """A model, and what it was trained on."""

    root: DataRoot[Path]  #: The data root.
    photos: Path  #: The folder of photos.
    folder: Path  #: The model's folder.
    results: Path  #: Folder of its evaluation.

    def evaluated(self) -> pa.Table:
        """Read the evaluation's predictions of all photos."""
        return pq.read_table(self.results / "predictions.parquet")


def draw(path: Path, number: int) -> None:
    """Draw a photo that is a little blue or red, as JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(coloured(number, WIDTH)[:HEIGHT]).save(path, "JPEG", quality=90)


@dataclass(frozen=True)
class Way:
    """How a model is trained."""

    precision: Precision | None  #: Of the bottlenecks of a head; None trains a network.
    several: bool = False  #: Whether the head is trained on two backbones, of two crops each.
    recipe: LdaRecipe | ClassicRecipe = LDA  #: Of the head.


def train(folder: Path, way: Way) -> Trained:
    root = DataRoot(folder / "data")
    model, results = train_below(root, folder, way)
    return Trained(root, folder / "photos", root.train(model), root.evaluate(results))


def train_below(root: DataRoot, folder: Path, way: Way) -> tuple[str, str]:
    """Do the same below a data root wherever it is; returns the keys of the model and of its evaluation."""
    photos = folder / "photos"
    for number in range(COUNT):
        draw(photos / LABELS[number % 2] / f"{number:02d}.jpg", number)
    snapshot = take_snapshot(photos, None, NullProgress())
    publish_parquet(root.snapshot(snapshot.key), snapshot.table)
    prepared = [_prepare(root, file) for file in [tiny(folder).weights, *([_other(folder)] if way.several else [])]]
    evaluate = EvaluateHead(
        context=RunContext(
            data_root=str(root.path),
            snapshot=snapshot.key,
            photos=str(photos),
            weights=tuple({each.backbone.weights_sha256: str(each.weights) for each in prepared}.items()),
        ),
        settings=EvaluateSettings(_settings([each.backbone for each in prepared], way), folds=0),
    )
    train = evaluate.requires()
    for task in (*train.before(), train, evaluate):
        task.run()
    return train.manifest_path().parent.name, evaluate.results().name


def _prepare(root: DataRoot, file: AnyPath) -> Prepared:
    task = PrepareBackbone(
        context=RunContext(data_root=str(root.path)), request=BackboneRequest(str(file), scaling="symmetric")
    )
    task.run()
    return task.prepared()


def _other(folder: Path) -> Path:
    file = folder / "other.keras"
    keras.utils.set_random_seed(1)
    layers = [keras.Input((20, 20, 3)), keras.layers.Conv2D(5, 3, 2), keras.layers.ReLU()]
    keras.Sequential([*layers, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3)]).save(file)
    return file


def _settings(backbones: list[Backbone], way: Way) -> TrainSettings | FinetuneSettings:
    if way.precision is None:
        return FinetuneSettings(backbones[0], "jpeg", epochs=1, batch_size=8, learning_rate=0.01, seed=0)
    crops: tuple[Crop, ...] = ("centre", "stretch") if way.several else ("centre",)
    bottlenecks = [
        BottleneckSettings(replace(backbone, crop=crop), "jpeg", way.precision, views=2)
        for backbone in backbones
        for crop in crops
    ]
    return TrainSettings(tuple(bottlenecks), way.recipe, seed=0)
