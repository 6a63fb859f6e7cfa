"""The formats that a model is exported in, and the outcome of an export."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

#: Name of the input of the SavedModel and the Keras model. TensorFlow Serving takes bytes as {"b64": "..."}.
INPUT = "image_bytes"
CARD, LABELS, METRICS = "README.md", "labels.txt", "metrics.json"
#: Folder of the files of a Keras model in a template; an export has them as one ZIP file.
KERAS_FOLDER = "keras"
#: Name of the copy of `layers.py` beside the Keras model, which needs it.
LAYERS_FILE = "photo_layers.py"


class ExportFormat(NamedTuple):
    """A format of a model."""

    name: str  #: Name in figures and, but for the SavedModel, of its file.
    description: str  #: Its input and its precision, for the model card.
    bar: float  #: Share of all photos on which it should predict the same label as the pipeline, apart from ties.
    precision: str  #: The precision of its network.
    decodes: bool  #: Whether it takes photos' files, and decodes them.
    files: tuple[str, ...]  #: Its files and folders in an export.


_FILES, _PIXELS = "photos' files (JPEG, PNG), computes in float32", "pixels, computes in"
SAVED_MODEL = ExportFormat("saved_model", _FILES, 0.99, "float32", decodes=True, files=("saved_model.pb", "variables"))
KERAS = ExportFormat("model.keras", _FILES, 0.99, "float32", decodes=True, files=("model.keras", LAYERS_FILE))
TFLITE = ExportFormat("model.tflite", f"{_PIXELS} float32", 0.99, "float32", decodes=False, files=("model.tflite",))
_INT8 = "model-int8.tflite"
TFLITE_INT8 = ExportFormat(_INT8, f"{_PIXELS} int8, its head in float32", 0.97, "int8", decodes=False, files=(_INT8,))
_IR = ("model.xml", "model.bin")
OPENVINO = ExportFormat(_IR[0], f"{_PIXELS} float32 or bfloat16", 0.99, "float32", decodes=False, files=_IR)
FORMATS = (SAVED_MODEL, KERAS, TFLITE, TFLITE_INT8, OPENVINO)


def input_names(count: int) -> list[str]:
    """Names of the inputs of files that take pixels: `pixels`, or `pixels_1` and so on."""
    return ["pixels"] if count == 1 else [f"pixels_{number}" for number in range(1, count + 1)]


@dataclass(frozen=True)
class Export:
    """The outcome of an export."""

    formats: Mapping[str, Mapping[str, Any]]  #: Figures of each format by its name; see `tasks.export.parity`.
    left_out: Mapping[str, int]  #: Test photos that the formats that decode were not tested on, by reason.
    converted: int  #: Test photos that were converted to PNG for these formats.
    lacking: Mapping[str, str]  #: Reasons for missing formats, by their names.
    refused: str | None  #: Reason for refusing all formats; None if they may be used.
    tested_with: str | None = None  #: Key of the model that the formats that decode were tested with.
    template: str = ""  #: Folder of the template, relative to the data root.
    novelty: Mapping[str, Any] | None = None  #: Score and threshold, as in head.json; None if the head has none.

    def metrics(self) -> dict[str, Any]:
        """Return the content of metrics.json."""
        return {"forms": dict(self.formats), "novelty": self.novelty, **self._notes()}

    def details(self) -> dict[str, Any]:
        """Return the details of the stage's manifest."""
        names = ("photos", "agreement", "disagreements", "accuracy")
        test = {name: {key: figures[key] for key in names} for name, figures in self.formats.items()}
        return {"files": self.files(), "template": self.template, "test": test, **self._notes()}

    def files(self) -> list[str]:
        """Return the names of the files and folders of the export."""
        if self.refused or not self.formats:
            return [METRICS]
        own = (file for each in FORMATS if each.name in self.formats for file in each.files)
        return sorted((CARD, LABELS, METRICS, *own))

    def _notes(self) -> dict[str, Any]:
        return {
            "left_out": dict(self.left_out),
            "converted": self.converted,
            "lacking": dict(self.lacking),
            "refused": self.refused,
            "tested_with": self.tested_with,
        }


def explain_lacking(details: Mapping[str, Any]) -> str | None:
    """Return the reason for exporting nothing, from `Export.details`; None if the model was exported or refused."""
    if details["test"] or details.get("refused"):
        return None
    return next(iter(details.get("lacking", {}).values()), None)


def explain_untested(details: Mapping[str, Any]) -> str | None:
    """Return the names of untested formats and the reason, from `Export.details`; None if all were tested."""
    names = [name for name, figures in details["test"].items() if not figures["photos"]]
    if not names:
        return None
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in details["left_out"].items())
    return (
        f"not tested: {', '.join(names)}, since no test photo could be read ({reasons or 'there is none'}). The next "
        "run that can read some tests them."
    )
