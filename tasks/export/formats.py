"""The forms that a model is exported in, and what came of exporting it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple


class Form(NamedTuple):
    """A form of a model.

    Args:
        name: Its file or folder.
        takes: What it takes and computes in, for people.
        bar: Share of all photos on which it should name the same label first as the pipeline, ties aside.
        precision: What its network computes in.
        decodes: Whether it takes photos' files, which it decodes itself.
    """

    name: str
    takes: str
    bar: float
    precision: str
    decodes: bool


SERVED = Form("saved_model", "photos' files (JPEG, PNG), computes in float32", 0.99, "float32", decodes=True)
KERAS = Form("model.keras", "photos' files (JPEG, PNG), computes in float32", 0.99, "float32", decodes=True)
FLOAT = Form("model.tflite", "pixels, computes in float32", 0.99, "float32", decodes=False)
INT8 = Form("model-int8.tflite", "pixels, computes in int8, its head in float32", 0.97, "int8", decodes=False)
FORMS = (SERVED, KERAS, FLOAT, INT8)


@dataclass(frozen=True)
class Tested:
    """What the forms of a model say of the test photos.

    Args:
        forms: Figures of each form, by its name: `judge` of `tasks.export.parity`.
        left_out: Test photos that the forms which take files could not be shown, by reason.
        converted: Test photos of other formats, which were converted to PNG for these forms.
    """

    forms: Mapping[str, Mapping[str, Any]]
    left_out: Mapping[str, int]
    converted: int


@dataclass(frozen=True)
class Export:
    """What was exported.

    Args:
        files: Files and folders, by name.
        tested: What the forms say.
        lacking: Why a form is not there, by its name.
        refused: Why no file was published; None where the files were.
    """

    files: list[str]
    tested: Tested
    lacking: Mapping[str, str]
    refused: str | None

    def details(self) -> dict[str, Any]:
        """What the stage's manifest says."""
        told = ("photos", "agreement", "disagreements", "accuracy")
        return {
            "files": self.files,
            "test": {name: {each: figures[each] for each in told} for name, figures in self.tested.forms.items()},
            "left_out": dict(self.tested.left_out),
            "converted": self.tested.converted,
            "lacking": dict(self.lacking),
            "refused": self.refused,
        }


def tell_lacking(details: Mapping[str, Any]) -> str | None:
    """Say why nothing was exported, where a model cannot be; None where something was, or was refused.

    Args:
        details: `Export.details`; an earlier version of this project wrote fewer of them.
    """
    if details["test"] or details.get("refused"):
        return None
    return next(iter(details.get("lacking", {}).values()), None)


def tell_untested(details: Mapping[str, Any]) -> str | None:
    """Say which files of an export were not tested, and why; None where all were.

    Args:
        details: `Export.details`; an earlier version of this project wrote fewer of them.
    """
    names = [name for name, figures in details["test"].items() if not figures["photos"]]
    if not names:
        return None
    why = ", ".join(f"{count:,} {reason}" for reason, count in details["left_out"].items())
    return (
        f"not tested: {', '.join(names)}, since no test photo could be read ({why or 'there is none'}). The next run "
        "that can read some tests them."
    )
