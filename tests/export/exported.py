"""Exports of tiny models that the stages trained."""

from dataclasses import dataclass
from pathlib import Path

from tasks.export.export import ExportInputs, export_model
from tasks.export.formats import Export
from tasks.export.template import Template, open_template
from tasks.predict.models import Model, read_model
from tasks.progress import NullProgress
from tasks.train.head import load_head
from tasks.train.settings import TrainSettings
from tests.predict.trained import Trained

FILES = ["README.md", "labels.txt", "metrics.json", "model-int8.tflite", "model.bin", "model.keras", "model.tflite"]
FILES += ["model.xml", "photo_layers.py", "saved_model.pb", "variables"]
PUBLISHED = ["README.md", "labels.txt", "metrics.json"]
FORMATS = {"saved_model", "model.keras", "model.tflite", "model-int8.tflite", "model.xml"}


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

    @property
    def template(self) -> Template:
        """The template of the model."""
        return open_template(self.model, self.trained.root, NullProgress())

    def write(self, folder: Path) -> Path:
        """Write the files into a new folder."""
        folder.mkdir()
        head = load_head(self.trained.folder) if isinstance(self.model.settings, TrainSettings) else None
        self.template.write_files(head, folder, linked=True)
        return folder


def export(trained: Trained) -> Exported:
    model = read_model(trained.folder)
    source = ExportInputs(trained.results, trained.photos, trained.root)
    done = export_model(model, source, NullProgress())
    return Exported(trained, trained.root.export(model.key), done)
