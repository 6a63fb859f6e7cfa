"""Builds a report from the stores and the results of the stages."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from tasks.champion.champion_file import read_champion
from tasks.champion.decision import Decision
from tasks.decode.rejections import MissingPhoto
from tasks.decode.repair import tell_flawed
from tasks.evaluate.predictions import read_predicted_photos
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.report.confusion import confusion_figure
from tasks.report.dataset import (
    LabelCount,
    RepeatedPhotos,
    SnapshotChanges,
    count_photos,
    find_rejected_photos,
    find_repeated_photos,
    read_changes,
)
from tasks.report.drift import ShownDrift, read_drift, show_drift
from tasks.report.figures import learning_curve_figure, precision_recall_figure, reliability_figure, trend_figure
from tasks.report.gallery import MAX_SHOWN, Gallery, Guess, ShownPhoto, decode_repeated, fill_gallery, select_photos
from tasks.report.label_issues import ShownIssues, read_shown_issues, show_issues
from tasks.report.map import MAX_POINTS, BottleneckMap, draw_map
from tasks.report.near_duplicates import ShownDuplicates, select_near_duplicates
from tasks.report.provenance import describe_provenance
from tasks.report.reported_run import ReportedRun, read_previous_runs
from tasks.report.results import Results, measure_results
from tasks.runs.records import RunHistory, RunRecord
from tasks.snapshot.ignored import IgnoredSummary
from tasks.snapshot.photos import read_snapshot
from tasks.snapshot.split_facts import describe_folds, describe_splits
from tasks.snapshot.splits import Fill
from tasks.storage.layout import DataRoot
from tasks.train.settings import TrainSettings

_PARTS = 4
_NOTED_FILLS = 10
_NOTED_ORDERS = 3


@dataclass(frozen=True)
class Figures:
    """Figures as SVG elements, whose colours follow the page's (`tasks.report.svg`)."""

    confusion: str  #: Confusion matrix of the test split.
    reliability: str  #: Accuracy against confidence.
    precision_recall: str  #: Precision against recall of each label.
    learning_curve: str | None  #: Accuracy on the validation split during training; None if no `watch` ran.
    trend: str | None  #: Test accuracy of the dataset's runs by date; None for the first run.


@dataclass(frozen=True)
class Report:
    """The content of a report; the page may cut its lists."""

    runs: Sequence[RunRecord]  #: All runs of the dataset so far; the last one is the run of this report.
    backbone: str  #: Name of the backbone.
    #: Cross-validation of the same recipe, as metrics.json has it; None if there is none.
    cross_validation: Mapping[str, Any] | None
    folds: str  #: Description of the folds and photos of a cross-validation; empty without one.
    seconds: Mapping[str, float]  #: Seconds of each stage, in the order of the stages.
    #: Keys, parameters, model and versions: groups of values by name, in the order to be shown.
    provenance: Mapping[str, Mapping[str, str]]
    decision: Decision  #: The decision on the champion.
    #: Changes since the previous run; None for the first run, or if they are not known.
    changes: SnapshotChanges | None
    added: Sequence[ShownPhoto]  #: Some of the added photos.
    drift: ShownDrift | None  #: Comparison of the new photos with earlier ones; None if they were not compared.
    results: Results  #: Results on the test split.
    counts: Sequence[LabelCount]  #: Photos by label and split, in the labels' order.
    notes: Sequence[str]  #: Sentences that a reader should know, such as on splits that were filled in.
    figures: Figures
    samples: Sequence[ShownPhoto]  #: Some photos of each label.
    mistakes: Sequence[Guess]  #: The most confident mistakes of the test split.
    uncertain: Sequence[Guess]  #: Photos of the test split with the smallest lead of the predicted label.
    label_issues: ShownIssues | None  #: Labels that are probably wrong; None without a cross-validation.
    rejected: Sequence[MissingPhoto]  #: Photos that could not be decoded.
    ignored: IgnoredSummary  #: Files and folders that are no photos of a label.
    repeated: RepeatedPhotos  #: Photos with several paths.
    repeated_images: Mapping[str, bytes]  #: JPEG or PNG files of some of these, by key.
    near_duplicates: ShownDuplicates | None  #: Groups of near duplicates; None for a fine-tuned network.
    map: BottleneckMap | None  #: Map of the bottlenecks; None for a fine-tuned network.
    #: Details of the export, with the agreement of its files; None if no export was asked for.
    exports: Mapping[str, Any] | None

    @property
    def run(self) -> RunRecord:
        """The run of this report."""
        return self.runs[-1]

    @property
    def previous(self) -> RunRecord | None:
        """The previous run of the dataset; None for the first run."""
        return self.runs[-2] if len(self.runs) > 1 else None


def build_report(run: ReportedRun, root: DataRoot, progress: Progress) -> Report:
    """Build the report of a run.

    Raises:
        StoreError: The stores have lost results of the run, or a file is damaged.
    """
    progress.start(_PARTS, "parts")
    snapshot = read_snapshot(root, run.snapshot)
    repeated, decode = find_repeated_photos(snapshot), run.settings.train.decodes[0]
    with ThreadPoolExecutor(1) as beside:
        # No stage decodes conflicts. Another process does, while the report is built.
        conflicts = beside.submit(decode_repeated, repeated.conflicts[:MAX_SHOWN], run.folder, decode)
        report = _build(run, root, snapshot, repeated, progress)
        return replace(report, repeated_images={**conflicts.result(), **report.repeated_images})


def _build(
    run: ReportedRun, root: DataRoot, snapshot: pa.Table, repeated: RepeatedPhotos, progress: Progress
) -> Report:
    """Build the report without pictures of conflicts, given the table of the snapshot."""
    history = read_previous_runs(run, root)
    changes = read_changes(history.runs[-1].snapshot, snapshot, root) if history.runs else None
    evaluation = root.evaluate(run.stages["evaluate"].key)
    predicted = read_predicted_photos(evaluation)
    progress.advance(1)
    results, crossed = measure_results(predicted), run.stages["evaluate"].details["cross_validation"]
    progress.advance(1)
    train = run.settings.train
    # A fine-tuned network has no fixed bottlenecks.
    map_points = MAX_POINTS if isinstance(train, TrainSettings) else 0
    issues = read_shown_issues(run, root)
    duplicates, drift = select_near_duplicates(run.stages["evaluate"].details, evaluation), read_drift(run)
    others = {photo.sha256 for photos in repeated for photo in photos[:MAX_SHOWN]}
    others |= {photo.sha256 for photo in drift.typical} if drift else set()
    selection = select_photos(predicted, changes.added if changes else (), map_points=map_points)._replace(
        issues=predicted.photos.places(issue.sha256 for issue in issues),
        near_duplicates=predicted.photos.places(duplicates.keys if duplicates else ()),
    )
    gallery = fill_gallery(predicted, selection, others, run, root)
    progress.advance(1)
    runs = [*history.runs, run.to_record()]
    report = Report(
        runs=runs,
        backbone=" + ".join(backbone.name for backbone in train.backbones),
        cross_validation=crossed,
        folds=describe_folds(crossed) if crossed else "",
        seconds=run.seconds,
        provenance=describe_provenance(run),
        decision=run.decision,
        changes=changes,
        added=gallery.show(selection.added),
        drift=show_drift(drift, gallery.images) if drift else None,
        results=results,
        counts=count_photos(predicted.photos),
        notes=[
            *_notes(run, predicted.photos.splits.filled, history, changes_known=changes is not None),
            *_orders(run, root),
        ],
        figures=_draw_figures(results, runs, root.train(run.stages["train"].key)),
        samples=gallery.show(selection.samples),
        mistakes=gallery.show_guesses(selection.mistakes),
        uncertain=gallery.show_guesses(selection.uncertain),
        label_issues=show_issues(run, issues, gallery.show(selection.issues)),
        rejected=find_rejected_photos(snapshot, train.decodes, root),
        ignored=run.ignored,
        repeated=repeated,
        repeated_images=_repeated_images(repeated, gallery),
        near_duplicates=duplicates.show(gallery) if duplicates else None,
        map=draw_map(gallery, selection.map_points, train, root) if isinstance(train, TrainSettings) else None,
        exports=run.stages["export"].details if "export" in run.stages else None,
    )
    progress.advance(1)
    return report


def _repeated_images(repeated: RepeatedPhotos, gallery: Gallery) -> dict[str, bytes]:
    keys = [photo.sha256 for photos in repeated for photo in photos[:MAX_SHOWN]]
    return {key: gallery.images[key] for key in keys if key in gallery.images}


def _draw_figures(results: Results, runs: Sequence[RunRecord], head: AnyPath) -> Figures:
    return Figures(
        confusion=confusion_figure(results.metrics.confusion, [each.label for each in results.metrics.per_label]),
        reliability=reliability_figure(results.bins),
        precision_recall=precision_recall_figure(results.curves, results.average_curve),
        learning_curve=learning_curve_figure(head),
        trend=trend_figure(runs) if len(runs) > 1 else None,
    )


def _orders(run: ReportedRun, root: DataRoot) -> list[str]:
    """The last orders of persons about the champion, until the date of the run."""
    champion = read_champion(root.champion(run.dataset))
    orders = [order for order in champion.orders if order.time.date() <= run.date] if champion else []
    return [str(order) for order in orders[-_NOTED_ORDERS:]]


def _notes(run: ReportedRun, fills: Sequence[Fill], history: RunHistory, *, changes_known: bool) -> list[str]:
    notes = [run.export_note] if run.export_note else []
    notes += [f"Splits are {describe_splits(run.given_splits)}."] if run.given_splits else []
    notes += [
        f"The thresholds left the label {fill.label!r} without photos in the {fill.split} split; the photo with the "
        f"nearest hash, {fill.sha256[:12]}…, fills in."
        for fill in fills[:_NOTED_FILLS]
    ]
    if len(fills) > _NOTED_FILLS:
        notes.append(f"Likewise in {len(fills) - _NOTED_FILLS:,} more splits of labels with few photos.")
    notes += [f"A run is left out: {error}" for error in history.damaged]
    if history.runs and not changes_known:
        day = history.runs[-1].date
        notes.append(f"The changes since the run of {day} are not known: its snapshot cannot be read.")
    decode = run.stages["decode"]
    flawed = decode.details.get("flawed", {})
    if decode.run == run.run_id and flawed.get("photos"):
        notes.append(f"{tell_flawed(flawed)}.")
    return notes
