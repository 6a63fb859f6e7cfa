"""The forms that a model is exported in, and what came of exporting it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple


class Form(NamedTuple):
    """A form of a model.

    Args:
        name: Its file or folder.
        takes: What it takes and computes in, for people.
        bar: Share of all photos on which it should name the same label first as the pipeline.
    """

    name: str
    takes: str
    bar: float


SERVED = Form("saved_model", "photos' files (JPEG, PNG), computes in float32", 0.99)
KERAS = Form("model.keras", "photos' files (JPEG, PNG), computes in float32", 0.99)
FLOAT = Form("model.tflite", "pixels, computes in float32", 0.99)
INT8 = Form("model-int8.tflite", "pixels, computes in int8, its head in float32", 0.97)
FORMS = (SERVED, KERAS, FLOAT, INT8)


@dataclass(frozen=True)
class Tested:
    """What the forms of a model say of the test photos.

    Args:
        forms: Figures of each form, by its name: `judge` of `tasks.export.agreement`.
        left_out: Test photos that the forms which take files could not be shown, by reason.
    """

    forms: Mapping[str, Mapping[str, Any]]
    left_out: Mapping[str, int]


@dataclass(frozen=True)
class Export:
    """What was exported.

    Args:
        files: Files and folders, by name.
        tested: What the forms say.
        lacking: Why a form is not there, by its name.
    """

    files: list[str]
    tested: Tested
    lacking: Mapping[str, str]

    def details(self) -> dict[str, Any]:
        """What the stage's manifest says."""
        told = ("photos", "agreement", "accuracy")
        return {
            "files": self.files,
            "test": {name: {each: figures[each] for each in told} for name, figures in self.tested.forms.items()},
            "left_out": dict(self.tested.left_out),
            "lacking": dict(self.lacking),
        }
