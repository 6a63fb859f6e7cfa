"""Exports of tiny models that the stages trained."""

from dataclasses import dataclass
from pathlib import Path

from tasks.export.export import ExportInputs, export_model
from tasks.export.formats import Export
from tasks.predict.models import Model, read_model
from tasks.progress import NullProgress, Progress
from tests.predict.trained import Trained

FILES = ["README.md", "labels.txt", "metrics.json", "model-int8.tflite", "model.keras", "model.tflite"]
FILES += ["photo_layers.py", "saved_model"]
FORMATS = {"saved_model", "model.keras", "model.tflite", "model-int8.tflite"}


@dataclass(frozen=True)
class Exported:
    """A model with its export."""

    trained: Trained  #: The model, and what it was trained on.
    folder: Path  #: The export's folder.
    export: Export  #: The outcome of the stage.

    @property
    def model(self) -> Model:
        """The model."""
        return read_model(self.trained.folder)


def export(trained: Trained, progress: Progress | None = None) -> Exported:
    model = read_model(trained.folder)
    source = ExportInputs(trained.results, trained.photos, trained.root)
    done = export_model(model, source, progress or NullProgress())
    return Exported(trained, trained.root.export(model.key), done)
