"""Gathers what the report shows from the stores."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.artifacts import DataRoot
from tasks.decode.limits import missing_photos
from tasks.decode.photos import open_stores
from tasks.decode.rejections import Missing
from tasks.decode.settings import DecodeSettings
from tasks.evaluate.figures import confusion_matrix_figure, learning_curve_figure
from tasks.evaluate.metrics import Metrics
from tasks.evaluate.report import LabelCount, Mistake, PhotoPath, Picture, Report, Summary
from tasks.snapshot.photos import usable
from tasks.snapshot.splits import SPLITS, Fill
from tasks.train.curve import WEIGHTS, curve_path, read_curve
from tasks.train.photos import Photos

SAMPLES_PER_LABEL = 8
MOST_SAMPLES = 400
MOST_MISTAKES = 24


@dataclass(frozen=True, eq=False)
class Predicted:
    """Photos and what the head says of them.

    Args:
        photos: N photos of C labels.
        probabilities: float32 [N, C].
        metrics: How good that is on the test split.
    """

    photos: Photos
    probabilities: npt.NDArray[np.float32]
    metrics: Metrics


def gather_report(
    summary: Summary, predicted: Predicted, snapshot: pa.Table, decode: DecodeSettings, root: DataRoot
) -> Report:
    """Put together what the report shows.

    Args:
        summary: What the run was about.
        predicted: The head's predictions.
        snapshot: The snapshot's table.
        decode: The settings of the decoded store, which holds the pictures.
        root: Where the stores are.

    Raises:
        StoreError: The decoded store has lost pictures since, or a shard is damaged.
    """
    photos = predicted.photos
    mistakes = _most_confident_mistakes(predicted)
    samples = _samples(photos)
    pictures = _pictures(photos, {*mistakes, *samples}, decode, root)
    predictions = predicted.probabilities.argmax(axis=1)
    return Report(
        summary=summary,
        metrics=predicted.metrics,
        confusion_matrix=confusion_matrix_figure(predicted.metrics.confusion, photos.labels),
        counts=_counts(photos),
        notes=[_note(fill) for fill in photos.splits.filled],
        samples=[pictures[index] for index in samples],
        mistakes=[
            Mistake(pictures[index], photos.labels[predictions[index]], float(predicted.probabilities[index].max()))
            for index in mistakes
        ],
        rejected=_rejected(snapshot, decode, root),
        conflicts=_group(snapshot.filter(snapshot.column("conflict")), ("sha256",)),
        duplicates=_duplicates(snapshot),
    )


def gather_curve(head: Path) -> bytes | None:
    """Draw the learning curve that a watcher kept; None where nobody watched.

    Args:
        head: Folder of the head.

    Returns:
        The bytes of a PNG file.

    Raises:
        StoreError: The file of the curve is damaged.
    """
    curves = {weights: read_curve(curve_path(head, weights)) for weights in WEIGHTS}
    seen = {weights: curve for weights, curve in curves.items() if len(curve)}
    return learning_curve_figure(seen) if seen else None


def _counts(photos: Photos) -> list[LabelCount]:
    classes = len(photos.labels)
    table = np.bincount(photos.truth * len(SPLITS) + photos.splits.ids, minlength=classes * len(SPLITS))
    rows = table.reshape(classes, len(SPLITS)).tolist()
    return [LabelCount(label, *row) for label, row in zip(photos.labels, rows, strict=True)]


def _note(fill: Fill) -> str:
    return (
        f"The thresholds left the label {fill.label!r} without photos in the {fill.split} split; the photo with the "
        f"nearest hash, {fill.sha256[:12]}…, fills in."
    )


def _samples(photos: Photos) -> list[int]:
    """Some photos of each label, fewer where there are many labels: the first by hash, which is as good as random."""
    each = max(1, min(SAMPLES_PER_LABEL, MOST_SAMPLES // len(photos.labels)))
    return [
        int(index)
        for label in range(min(len(photos.labels), MOST_SAMPLES))
        for index in np.flatnonzero(photos.truth == label)[:each]
    ]


def _most_confident_mistakes(predicted: Predicted) -> list[int]:
    confidence = predicted.probabilities.max(axis=1)
    wrong = predicted.photos.of("test") & (predicted.probabilities.argmax(axis=1) != predicted.photos.truth)
    found = np.flatnonzero(wrong)
    return [int(index) for index in found[np.argsort(-confidence[found], kind="stable")][:MOST_MISTAKES]]


def _pictures(photos: Photos, which: set[int], decode: DecodeSettings, root: DataRoot) -> dict[int, Picture]:
    """Read the pictures of some photos from the decoded store."""
    places = {photos.sha256[index]: index for index in which}
    store = open_stores(root, decode).decoded
    found = {}
    for table in store.rows(pa.array(places, pa.string()), ["sha256", "image"]):
        for row in table.to_pylist():
            index = places[row["sha256"]]
            found[index] = Picture(photos.paths[index], photos.labels[photos.truth[index]], row["image"]["bytes"])
    store.check(len(found), len(places), "pictures for the report")
    return found


def _rejected(snapshot: pa.Table, decode: DecodeSettings, root: DataRoot) -> list[Missing]:
    wanted = usable(snapshot)
    return missing_photos(wanted, open_stores(root, decode).rejected.read(wanted.column("sha256").combine_chunks()))


def _duplicates(snapshot: pa.Table) -> list[list[PhotoPath]]:
    """Group each photo that others of its label repeat with these others."""
    originals = snapshot.column("duplicate_of").drop_null().unique()
    repeated = pc.or_(pc.is_valid(snapshot.column("duplicate_of")), pc.is_in(snapshot.column("path"), originals))
    return _group(snapshot.filter(repeated), ("label", "sha256"))


def _group(rows: pa.Table, same: Sequence[str]) -> list[list[PhotoPath]]:
    """Group photos that are the same in some columns, in the order of the rows."""
    groups = defaultdict(list)
    for row in rows.to_pylist():
        groups[tuple(row[name] for name in same)].append(PhotoPath(row["path"], row["label"]))
    return list(groups.values())
