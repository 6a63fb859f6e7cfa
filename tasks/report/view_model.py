"""What a report shows, as plain values: gathered by one module, laid out by another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from tasks.champion.decision import Decision
from tasks.decode.rejections import MissingPhoto
from tasks.evaluate.metrics import CrossValidation, Interval, Metrics
from tasks.runs.records import RunRecord
from tasks.snapshot.ignored import IgnoredSummary


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
        provenance: What the result came from, in groups (keys, parameters, model, versions), each by name, to be
            shown in this order.
    """

    dataset: str
    date: date
    backbone: str
    photos: int
    rejected: int
    cross_validation: CrossValidation | None
    seconds: Mapping[str, float]
    provenance: Mapping[str, Mapping[str, str]]


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
class LabelChange:
    """What became of a label's photos since the last run.

    Args:
        label: The label.
        added: Photos that were not in the dataset.
        removed: Photos that no longer are.
        arrived: Photos that had another label.
    """

    label: str
    added: int
    removed: int
    arrived: int


@dataclass(frozen=True)
class ShownPhoto:
    """A photo to be shown.

    Args:
        path: Its path within the dataset.
        label: Its label.
        image: Its upright picture, a JPEG or PNG file, as the decoded store has it.
    """

    path: str
    label: str
    image: bytes


@dataclass(frozen=True)
class Guess:
    """A photo of the test split and what is said of it.

    Args:
        picture: The photo and its true label.
        predicted: The predicted label.
        probability: The probability given to the predicted label, in [0, 1].
        runner_up: The label with the second largest probability.
        second: That probability, in [0, 1].
    """

    picture: ShownPhoto
    predicted: str
    probability: float
    runner_up: str
    second: float


@dataclass(frozen=True)
class Changes:
    """How the dataset differs from that of the run before.

    Args:
        since: The date of the run before.
        labels: Labels that changed, sorted.
        pictures: Some of the photos that were added.
    """

    since: date
    labels: Sequence[LabelChange]
    pictures: Sequence[ShownPhoto]


@dataclass(frozen=True)
class PhotoPath:
    """Where a photo lies: its path within the dataset, and the label of that folder."""

    path: str
    label: str


@dataclass(frozen=True)
class RepeatedPhoto:
    """A photo that lies at several paths.

    Args:
        places: Where, in their order.
        image: Its picture, a JPEG or PNG file; None where there is none to be had, or enough are shown.
    """

    places: Sequence[PhotoPath]
    image: bytes | None


@dataclass(frozen=True)
class LabelResult:
    """How well a label is told from the others on the test split; None where there is no such photo.

    Args:
        label: The label.
        photos: Photos that have it.
        precision: Share of the photos predicted to have it that do.
        precision_interval: Its 95 % Wilson interval.
        recall: Share of the photos that have it that are predicted to.
        recall_interval: Its 95 % Wilson interval.
        f1: Harmonic mean of both.
        average_precision: Area under its precision-recall curve.
    """

    label: str
    photos: int
    precision: float | None
    precision_interval: Interval | None
    recall: float | None
    recall_interval: Interval | None
    f1: float | None
    average_precision: float | None


@dataclass(frozen=True)
class MapPoint:
    """A photo on the map of the bottlenecks.

    Args:
        x: Its place from left to right, in [0, 1].
        y: Its place from bottom to top, in [0, 1].
        label: Place of its label among the report's labels.
        split: Its split.
        predicted: Place of the predicted label.
        path: Its path within the dataset.
        image: A thumbnail, a JPEG file of some 64 pixels.
    """

    x: float
    y: float
    label: int
    split: str
    predicted: int
    path: str
    image: bytes


@dataclass(frozen=True)
class BottleneckMap:
    """The map of the bottlenecks in two dimensions.

    Args:
        points: The photos on it.
        of: How many photos there are, of which these were drawn.
        method: One sentence on how it was made.
    """

    points: Sequence[MapPoint]
    of: int
    method: str


@dataclass(frozen=True)
class Figures:
    """Drawings, each an SVG element whose ink and ground follow the page's colours (`tasks.report.svg`).

    Args:
        confusion: The confusion matrix of the test split.
        reliability: Accuracy against confidence.
        precision_recall: Precision against recall of each label.
        learning_curve: Accuracy on the validation split while training; None where nobody watched.
        trend: Test accuracy of the dataset's runs by date; None for the first one.
    """

    confusion: str
    reliability: str
    precision_recall: str
    learning_curve: str | None
    trend: str | None


@dataclass(frozen=True)
class Exports:
    """How a model's exported files agree with it.

    Args:
        agreement: Share of test photos on which each file names the same label first, in [0, 1], by its name; None for
            one that was not tested.
        refused: Whether one says something else than the model, so that nothing was exported.
        note: A sentence on what was refused or not tested; may be empty.
    """

    agreement: Mapping[str, float | None]
    refused: bool
    note: str

    @property
    def least(self) -> float | None:
        """The smallest agreement; None where no file was tested."""
        return min((share for share in self.agreement.values() if share is not None), default=None)


@dataclass(frozen=True)
class Report:
    """What a report shows: all sequences whole, in the order given, but for those of paths, which may be long.

    Args:
        summary: What the run was about.
        decision: Whether the model is the dataset's champion now, and why.
        before: The run before, of the same dataset; None for the first one.
        changes: How the dataset differs from that of the run before; None for the first one.
        metrics: The model on the test split.
        labels: The same by label, in the labels' order.
        counts: Photos by label and split, in the labels' order.
        notes: Sentences on what a reader should know, such as splits that were filled in.
        figures: The drawings.
        samples: Some photos of each label.
        mistakes: The most confident mistakes.
        uncertain: The photos of the test split whose two largest probabilities lie nearest to each other.
        rejected: Photos that could not be decoded.
        ignored: Files and folders that are no photos of a label.
        conflicts: Photos that lie under several labels.
        duplicates: Photos that lie at several paths of one label.
        map: The map of the bottlenecks; None where there are none.
        exports: How the exported files agree with the model; None where no export was asked for.
        nights: All runs of the dataset so far, this one last.
    """

    summary: Summary
    decision: Decision
    before: RunRecord | None
    changes: Changes | None
    metrics: Metrics
    labels: Sequence[LabelResult]
    counts: Sequence[LabelCount]
    notes: Sequence[str]
    figures: Figures
    samples: Sequence[ShownPhoto]
    mistakes: Sequence[Guess]
    uncertain: Sequence[Guess]
    rejected: Sequence[MissingPhoto]
    ignored: IgnoredSummary
    conflicts: Sequence[RepeatedPhoto]
    duplicates: Sequence[RepeatedPhoto]
    map: BottleneckMap | None
    exports: Exports | None
    nights: Sequence[RunRecord]
