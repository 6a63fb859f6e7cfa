"""A tiny model, trained on coloured photos by the stages themselves, and the photos."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from tasks.artifacts import DataRoot, publish_parquet
from tasks.backbone.request import BackboneRequest
from tasks.backbone.task import PrepareBackbone
from tasks.bottleneck.precision import Precision
from tasks.bottleneck.settings import BottleneckSettings
from tasks.bottleneck.stored import Dtype
from tasks.evaluate.settings import EvaluateSettings
from tasks.evaluate.task import EvaluateHead
from tasks.progress import Silence
from tasks.snapshot.photos import take_snapshot
from tasks.train.settings import AdamRecipe, FinetuneSettings, TrainSettings
from tests.train.tiny import LABELS, coloured, tiny

COUNT = 40
#: Neither square nor of the backbone's size, so that resizing and cropping matter.
WIDTH, HEIGHT = 30, 22


@dataclass(frozen=True)
class Trained:
    """A model, and what it was trained on.

    Args:
        root: The data root.
        photos: The folder of photos.
        folder: The model's folder.
        results: Folder of its evaluation.
    """

    root: DataRoot[Path]
    photos: Path
    folder: Path
    results: Path

    def evaluated(self) -> pa.Table:
        """What its evaluation said of every photo."""
        return pq.read_table(self.results / "predictions.parquet")


def draw(path: Path, number: int) -> None:
    """Draw a photo that is a little blue or red, as JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(coloured(number, WIDTH)[:HEIGHT]).save(path, "JPEG", quality=90)


def train(folder: Path, how: Precision | None, dtype: Dtype = "float32") -> Trained:
    """Draw photos and train on them: a head with bottlenecks of a precision, or, where that is None, a network."""
    root = DataRoot(folder / "data")
    model, results = train_below(root, folder, how, dtype)
    return Trained(root, folder / "photos", root.train(model), root.evaluate(results))


def train_below(root: DataRoot, folder: Path, how: Precision | None, dtype: Dtype = "float32") -> tuple[str, str]:
    """Do the same below a data root wherever it is; returns the keys of the model and of its evaluation."""
    photos = folder / "photos"
    for number in range(COUNT):
        draw(photos / LABELS[number % 2] / f"{number:02d}.jpg", number)
    snapshot = take_snapshot(photos, None, Silence())
    publish_parquet(root.snapshot(snapshot.key), snapshot.table)
    backbone = PrepareBackbone(
        data_root=str(root.path), request=BackboneRequest(str(tiny(folder).weights), scaling="symmetric")
    )
    backbone.run()
    evaluate = EvaluateHead(
        data_root=str(root.path),
        snapshot=snapshot.key,
        folder=str(photos),
        weights=str(backbone.prepared().weights),
        settings=EvaluateSettings(_settings(backbone, how, dtype), folds=0),
    )
    train = evaluate.requires()
    for task in (*train.before(), train, evaluate):
        task.run()
    return train.manifest_path().parent.name, evaluate.results().name


def _settings(backbone: PrepareBackbone, how: Precision | None, dtype: Dtype) -> TrainSettings | FinetuneSettings:
    described = backbone.prepared().backbone
    if how is None:
        return FinetuneSettings(described, "jpeg", epochs=1, batch_size=8, learning_rate=0.01, seed=0)
    recipe = AdamRecipe(l2=(0.03,), epochs=5, batch_size=16, learning_rate=0.01, averaging=0.9, class_weights=False)
    return TrainSettings(BottleneckSettings(described, "jpeg", how, views=2, dtype=dtype), recipe, seed=0)
