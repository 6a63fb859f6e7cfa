"""Gathers what a report shows, from the stores and from what the stages before left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tasks.decode.photos import open_stores, read_rejected
from tasks.decode.rejection_limits import missing_photos
from tasks.decode.rejections import MissingPhoto
from tasks.decode.repair import tell_flawed
from tasks.decode.settings import DecodeSettings
from tasks.evaluate.metrics import CrossValidation, Interval
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.report.changes import SnapshotChanges, read_difference
from tasks.report.duplicates import Repetitions, find_repetitions, show_repeated
from tasks.report.figures import learning_curve_figure
from tasks.report.gallery import Gallery, fill_gallery
from tasks.report.map import MOST_POINTS, draw_map
from tasks.report.predictions import Predicted, read_predicted
from tasks.report.previous_runs import PreviousRuns, read_previous_runs
from tasks.report.provenance import tell_provenance
from tasks.report.reported_run import ReportedRun
from tasks.report.results import Results, count_photos, judge
from tasks.report.selection import choose_photos
from tasks.report.trend import trend_figure
from tasks.report.view_model import BottleneckMap, Changes, Figures, Report, Summary
from tasks.snapshot.photos import read_snapshot, usable
from tasks.snapshot.splits import Fill
from tasks.storage.layout import DataRoot
from tasks.train.curve import WEIGHTS, curve_path, read_curve
from tasks.train.settings import TrainSettings

#: Of the work, as progress counts it.
_PARTS = 4
_NOTED_FILLS = 10


@dataclass(frozen=True, eq=False)
class _Read:
    """What was read, before anything is drawn.

    Args:
        predicted: The photos and what is said of them.
        snapshot: The snapshot's table.
        past: The runs before.
        difference: How the dataset differs from that of the run before; None where nobody knows.
        repetitions: Photos that lie at several paths.
    """

    predicted: Predicted
    snapshot: pa.Table
    past: PreviousRuns
    difference: SnapshotChanges | None
    repetitions: Repetitions


def build_report(occasion: ReportedRun, root: DataRoot, progress: Progress) -> Report:
    """Put together what a report shows.

    Args:
        occasion: The run that it is of.
        root: Where everything is.
        progress: Told of its parts.

    Raises:
        StoreError: The stores have lost what the run has made since, or a file is damaged.
    """
    progress.start(_PARTS, "parts")
    read = _read(occasion, root)
    progress.advance(1)
    results = judge(read.predicted)
    progress.advance(1)
    added = read.difference.added if read.difference else []
    has_map = isinstance(occasion.settings.train, TrainSettings)
    choice = choose_photos(read.predicted, added, points=MOST_POINTS if has_map else 0)
    album = fill_gallery(read.predicted, choice, read.repetitions, occasion, root)
    progress.advance(1)
    report = _lay_out(read, results, album, occasion, root)
    progress.advance(1)
    return report


def build_curve(head: AnyPath) -> str | None:
    """Draw the learning curve that a watcher kept, as an SVG element; None where nobody watched.

    Args:
        head: Folder of the head.

    Raises:
        StoreError: The file of the curve is damaged.
    """
    curves = {weights: read_curve(curve_path(head, weights)) for weights in WEIGHTS}
    seen = {weights: curve for weights, curve in curves.items() if len(curve)}
    return learning_curve_figure(seen) if seen else None


def _read(occasion: ReportedRun, root: DataRoot) -> _Read:
    past, snapshot = read_previous_runs(root, occasion), read_snapshot(root, occasion.snapshot)
    return _Read(
        predicted=read_predicted(root.evaluate(occasion.stages["evaluate"].key)),
        snapshot=snapshot,
        past=past,
        difference=read_difference(past.last.snapshot, snapshot, root) if past.last else None,
        repetitions=find_repetitions(snapshot),
    )


def _lay_out(read: _Read, results: Results, album: Gallery, occasion: ReportedRun, root: DataRoot) -> Report:
    choice, nights = album.choice, [*read.past.nights, occasion.night()]
    curve = build_curve(root.train(occasion.stages["train"].key))
    trend = trend_figure(nights) if read.past.last else None
    return Report(
        summary=_summarise(occasion),
        decision=occasion.decision,
        before=read.past.last,
        changes=_changes(read, album),
        metrics=results.metrics,
        labels=results.labels,
        counts=count_photos(read.predicted),
        notes=[*_notes(read, occasion), *_flawed(occasion)],
        figures=Figures(results.confusion, results.reliability, results.precision_recall, curve, trend),
        samples=album.show(choice.samples),
        mistakes=album.show_guesses(choice.mistakes),
        uncertain=album.show_guesses(choice.uncertain),
        rejected=_rejected(read.snapshot, occasion.settings.train.decodes, root),
        ignored=occasion.ignored,
        conflicts=show_repeated(read.repetitions.conflicts, album.pictures),
        duplicates=show_repeated(read.repetitions.duplicates, album.pictures),
        map=_map(album, occasion, root),
        exports=occasion.exports,
        nights=nights,
    )


def _summarise(occasion: ReportedRun) -> Summary:
    crossed = occasion.stages["evaluate"].details["cross_validation"]
    return Summary(
        dataset=occasion.dataset,
        date=occasion.date,
        backbone=" + ".join(backbone.name for backbone in occasion.settings.train.backbones),
        photos=occasion.photos.photos,
        rejected=occasion.rejected,
        cross_validation=_cross_validation(crossed) if crossed else None,
        seconds=occasion.seconds,
        provenance=tell_provenance(occasion),
    )


def _cross_validation(values: Mapping[str, Any]) -> CrossValidation:
    interval = Interval(values["interval"]["low"], values["interval"]["high"])
    figures = {name: values[name] for name in ("folds", "accuracy", "log_loss", "expected_calibration_error")}
    return CrossValidation(**figures, interval=interval)


def _changes(read: _Read, album: Gallery) -> Changes | None:
    if read.past.last is None or read.difference is None:
        return None
    return Changes(read.past.last.date, read.difference.labels, album.show(album.choice.added))


def _notes(read: _Read, occasion: ReportedRun) -> list[str]:
    """What a reader should know."""
    lost = []
    if read.past.last and read.difference is None:
        lost = [f"What is new since the run of {read.past.last.date} is not known: its snapshot cannot be read."]
    told = [occasion.exports.note] if occasion.exports and occasion.exports.note else []
    return [*told, *_filled(read.predicted.photos.splits.filled), *read.past.notes, *lost]


def _flawed(occasion: ReportedRun) -> list[str]:
    """Tell of photos that this run decoded although something is wrong with their files."""
    decode = occasion.stages["decode"]
    flawed = decode.details.get("flawed", {})
    return [f"{tell_flawed(flawed)}."] if decode.run == occasion.run and flawed.get("photos") else []


def _filled(fills: Sequence[Fill]) -> list[str]:
    """Tell of splits that were filled in: the first of them one by one."""
    told = [
        f"The thresholds left the label {fill.label!r} without photos in the {fill.split} split; the photo with the "
        f"nearest hash, {fill.sha256[:12]}…, fills in."
        for fill in fills[:_NOTED_FILLS]
    ]
    more = len(fills) - len(told)
    return [*told, f"Likewise in {more:,} more splits of labels with few photos."] if more else told


def _rejected(snapshot: pa.Table, decodes: Sequence[DecodeSettings], root: DataRoot) -> list[MissingPhoto]:
    """The photos that have no picture by one of the ways to decode, each once."""
    wanted = usable(snapshot)
    keys = wanted.column("sha256").combine_chunks()
    rejected: dict[str, MissingPhoto] = {}
    for stores in (open_stores(root, decode) for decode in decodes):
        lacking = keys.filter(pa.array(~stores.decoded.found(keys)))
        rejected |= {photo.path: photo for photo in missing_photos(wanted, read_rejected(stores, lacking))}
    return sorted(rejected.values())


def _map(album: Gallery, occasion: ReportedRun, root: DataRoot) -> BottleneckMap | None:
    """A fine-tuned network has no bottlenecks: it changes them as it learns."""
    train = occasion.settings.train
    if not isinstance(train, TrainSettings):
        return None
    return draw_map(album, train, root)
