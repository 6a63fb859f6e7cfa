"""The report of a run: one HTML file that needs nothing beside itself."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from PIL import Image

from tasks.decode.rejections import Missing
from tasks.evaluate.drawing import DOTS_PER_INCH
from tasks.evaluate.metrics import Interval, Metrics

THUMBNAIL_SIDE = 144
LISTED = 100
"""How many rows of a list of photos the report shows; it says how many more there are."""

_CSS_PIXELS_PER_INCH = 96
_NO_BREAK_SPACE = "\u00a0"


@dataclass(frozen=True)
class CrossValidation:
    """The accuracy over all photos, each predicted by a head that was not trained on it.

    Args:
        folds: Number of folds.
        accuracy: Share of the photos predicted rightly.
        interval: Its 95 % interval.
    """

    folds: int
    accuracy: float
    interval: Interval


@dataclass(frozen=True)
class Summary:
    """What a run was about.

    Args:
        dataset: The dataset's name.
        date: The run's date.
        backbone: The backbone's name.
        photos: How many photos were used: in one of the splits.
        rejected: How many photos could not be decoded.
        cross_validation: The cross-validated accuracy of the same recipe; None where it was not measured.
        seconds: How long each stage took, in the order in which they ran.
        provenance: What the result came from: keys, versions, parameters; in the order to be shown.
    """

    dataset: str
    date: date
    backbone: str
    photos: int
    rejected: int
    cross_validation: CrossValidation | None
    seconds: Mapping[str, float]
    provenance: Mapping[str, str]


@dataclass(frozen=True)
class LabelCount:
    """How many photos of a label are in each split."""

    label: str
    train: int
    validation: int
    test: int

    @property
    def total(self) -> int:
        """All photos of the label that are in a split."""
        return self.train + self.validation + self.test


@dataclass(frozen=True)
class PhotoPath:
    """Where a photo lies: its path within the dataset, and the label of that folder."""

    path: str
    label: str


@dataclass(frozen=True)
class Picture:
    """A photo to be shown.

    Args:
        path: Its path within the dataset.
        label: Its label.
        image: Its upright picture, a JPEG or PNG file of any size; it is shrunk here.
    """

    path: str
    label: str
    image: bytes


@dataclass(frozen=True)
class Mistake:
    """A photo of the test split that was predicted to have another label.

    Args:
        picture: The photo and its true label.
        predicted: The predicted label.
        probability: The probability given to the predicted label, in [0, 1].
    """

    picture: Picture
    predicted: str
    probability: float


@dataclass(frozen=True)
class Report:
    """What a report shows. All sequences are shown in the order given.

    Args:
        summary: What the run was about.
        metrics: The head on the test split.
        confusion_matrix: The picture of the confusion matrix, a PNG file.
        counts: Photos by label and split, in the labels' order.
        notes: Sentences on what a reader should know, such as splits that were filled in.
        samples: Some photos of each label; all that are given are shown.
        mistakes: The most confident mistakes; all that are given are shown.
        rejected: Photos that could not be decoded.
        conflicts: Each a photo that lies under several labels, with all the places where it lies.
        duplicates: Each a photo that lies at several paths of one label, with all these places.
        learning_curve: The picture of the learning curve, a PNG file; None where nobody watched the training.
    """

    summary: Summary
    metrics: Metrics
    confusion_matrix: bytes
    counts: Sequence[LabelCount]
    notes: Sequence[str]
    samples: Sequence[Picture]
    mistakes: Sequence[Mistake]
    rejected: Sequence[Missing]
    conflicts: Sequence[Sequence[PhotoPath]]
    duplicates: Sequence[Sequence[PhotoPath]]
    learning_curve: bytes | None = None


def render_report(report: Report) -> str:
    """Render the report as one HTML page: styles and pictures are inside it, and it asks the network for nothing.

    Args:
        report: What to show.

    Returns:
        The page; write it as UTF-8.

    Raises:
        PIL.UnidentifiedImageError: A photo's bytes are not those of a picture.
    """
    samples = {
        count.label: [photo for photo in report.samples if photo.label == count.label] for count in report.counts
    }
    page = page_environment().get_template("report.html.j2")
    return page.render(
        report=report,
        summary=report.summary,
        metrics=report.metrics,
        samples=samples,
        listed=LISTED,
        side=THUMBNAIL_SIDE,
    )


def thumbnail(image: bytes, side: int = THUMBNAIL_SIDE) -> bytes:
    """Shrink a picture, keeping its proportions; one that is small enough keeps its size.

    Args:
        image: A JPEG or PNG file.
        side: The longer side's length in pixels at most.

    Returns:
        A JPEG file.

    Raises:
        PIL.UnidentifiedImageError: The bytes are not those of a picture.
    """
    with Image.open(io.BytesIO(image)) as picture:
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        picture.convert("RGB").save(buffer, "JPEG", quality=82, optimize=True)
    return buffer.getvalue()


def page_environment(package: str = "tasks.evaluate") -> Environment:
    """Where pages are rendered: with this package's templates, the style of all reports, and how numbers are written.

    Args:
        package: The package whose templates are found by their names.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package, "."), PackageLoader("tasks.evaluate", ".")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": _number,
        "percent": _percent,
        "score": _score,
        "duration": _duration,
        "counted": _counted,
        "picture": lambda image: _data_uri(thumbnail(image), "image/jpeg"),
        "figure": lambda image: _data_uri(image, "image/png"),
        "inches": _width,
    }
    return environment


def _data_uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _width(figure: bytes) -> int:
    """The width at which a figure's inches are inches, in CSS pixels."""
    with Image.open(io.BytesIO(figure)) as picture:
        return round(picture.width * _CSS_PIXELS_PER_INCH / DOTS_PER_INCH)


def _number(value: int) -> str:
    return f"{value:,}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}{_NO_BREAK_SPACE}%"


def _score(score: float | None) -> str:
    return "—" if score is None else f"{score:.3f}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f}{_NO_BREAK_SPACE}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes:,}{_NO_BREAK_SPACE}min {rest}{_NO_BREAK_SPACE}s"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
