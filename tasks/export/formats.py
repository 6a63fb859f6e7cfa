"""The formats that a model is exported in, and the outcome of an export."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

METRICS = "metrics.json"


class ExportFormat(NamedTuple):
    """A format of a model."""

    name: str  #: Name of its file or folder.
    description: str  #: Its input and its precision, for the model card.
    bar: float  #: Share of all photos on which it should predict the same label as the pipeline, apart from ties.
    precision: str  #: The precision of its network.
    decodes: bool  #: Whether it takes photos' files, and decodes them.


_FILES, _PIXELS = "photos' files (JPEG, PNG), computes in float32", "pixels, computes in"
SAVED_MODEL = ExportFormat("saved_model", _FILES, 0.99, "float32", decodes=True)
KERAS = ExportFormat("model.keras", _FILES, 0.99, "float32", decodes=True)
TFLITE = ExportFormat("model.tflite", f"{_PIXELS} float32", 0.99, "float32", decodes=False)
TFLITE_INT8 = ExportFormat("model-int8.tflite", f"{_PIXELS} int8, its head in float32", 0.97, "int8", decodes=False)
FORMATS = (SAVED_MODEL, KERAS, TFLITE, TFLITE_INT8)


@dataclass(frozen=True)
class Export:
    """The outcome of an export."""

    formats: Mapping[str, Mapping[str, Any]]  #: Figures of each format by its name, from `tasks.export.parity.compare`.
    left_out: Mapping[str, int]  #: Test photos that the formats that decode were not tested on, by reason.
    converted: int  #: Test photos that were converted to PNG for these formats.
    lacking: Mapping[str, str]  #: Reasons for missing formats, by their names.
    refused: str | None  #: Reason for publishing no format; None if they were published.
    files: Sequence[str] = (METRICS,)  #: Names of its files and folders.

    def metrics(self) -> dict[str, Any]:
        """Return the content of metrics.json."""
        return {"forms": dict(self.formats), **self._notes()}

    def details(self) -> dict[str, Any]:
        """Return the details of the stage's manifest."""
        names = ("photos", "agreement", "disagreements", "accuracy")
        test = {name: {key: figures[key] for key in names} for name, figures in self.formats.items()}
        return {"files": list(self.files), "test": test, **self._notes()}

    def _notes(self) -> dict[str, Any]:
        return {
            "left_out": dict(self.left_out),
            "converted": self.converted,
            "lacking": dict(self.lacking),
            "refused": self.refused,
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
