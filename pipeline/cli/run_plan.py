"""Plans a run: which stages are done and what the others have to do; runs nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.cli.stages import KnownStages, find_stages, is_refused
from pipeline.retrain import RetrainFlowers
from pipeline.summary import refused_export
from tasks.download.source_fallback import last_snapshot
from tasks.errors import DatasetError, PipelineError, StoreError
from tasks.paths import AnyPath
from tasks.runs.estimate import Estimate, RemainingWork, estimate, read_past
from tasks.runs.records import read_record
from tasks.runs.stages import RECORD, RUN_STAGES, spec_of
from tasks.snapshot.listing import PhotoFile
from tasks.stage_spec import Cost, kind_of, number_of
from tasks.storage.files import read_each
from tasks.storage.layout import DataRoot
from tasks.storage.removal import measure


class StepState(StrEnum):
    """State of a stage."""

    DONE = "done"
    TO_DO = "to do"
    BLOCKED = "blocked"


@dataclass(frozen=True)
class PlanStep:
    """A stage of a run that is planned."""

    stage: str  #: Name of the stage.
    state: StepState  #: State of the stage; `blocked` where its inputs are not known yet, or where there is an error.
    key: str | None = None  #: Key of the stage; None where it is not known.
    #: Photos that it has a result for; None where it has no results of photos, or they are not known.
    present: int | None = None
    missing: int | None = None  #: Photos that it has no result for.
    bytes: int | None = None  #: Disk usage of its outputs.
    note: str = ""  #: Why it is blocked, or a remark.
    broken: bool = False  #: Whether the note is an error that a run would end with.


@dataclass(frozen=True)
class RunPlan:
    """A plan of a run."""

    steps: tuple[PlanStep, ...]  #: The stages, in their order.
    ahead: tuple[str, ...]  #: Names of the stages that a run would do.
    estimate: Estimate | None  #: Estimated time; None where there is nothing to do, or an error.
    problem: str  #: An error that the run would end with; empty where none is known.

    def step(self, stage: str) -> PlanStep:
        """The step of a stage."""
        return next(step for step in self.steps if step.stage == stage)


class InputPhotos(NamedTuple):
    """The photos that a run would work on."""

    keys: pa.Array  #: sha256 of the photos whose hash is known, each once.
    new: int  #: Number of files that were never read.
    files: int  #: Number of all files.
    gone: int  #: Number of files of the last snapshot that are not there now.

    @property
    def wanted(self) -> int:
        """Number of photos that a run would use; duplicates among files that were never read are not known yet."""
        return len(self.keys) + self.new


def plan_run(run: RetrainFlowers) -> RunPlan:
    """Plan a run; runs nothing and writes nothing."""
    try:
        known = find_stages(run)
        photos = _photos(known)
    except PipelineError as exc:
        return RunPlan(tuple(PlanStep(spec.name, StepState.BLOCKED) for spec in RUN_STAGES), (), None, str(exc))
    steps = tuple(read_each(partial(_step, known, photos), known.stages(), known.root.path))
    problem = next((step.note for step in steps if step.broken), "")
    if steps[-1].state is StepState.DONE or problem:
        return RunPlan(steps, (), None, problem)
    refused = is_refused(run, known.tasks)
    ahead = {
        step.stage: _ahead(step, photos)
        for step in steps
        if step.state is not StepState.DONE and not (refused and step.stage == "export")
    }
    # The record takes no time of its own.
    timed = {stage: own for stage, own in ahead.items() if stage != RECORD.name}
    return RunPlan(steps, tuple(ahead), estimate(timed, run.parameters(), read_past(run.root)), "")


def _ahead(step: PlanStep, photos: InputPhotos | None) -> RemainingWork:
    cost = spec_of(step.stage).cost
    if cost == Cost.NEW_PHOTOS:
        return RemainingWork(step.key, step.missing)
    return RemainingWork(None, photos.wanted if photos is not None and cost == Cost.ALL_PHOTOS else None)


def _photos(known: KnownStages) -> InputPhotos | None:
    """The photos that a run would work on; None where they are still to be fetched."""
    from tasks.snapshot.hashed_photos import list_labelled, select_labelled
    from tasks.snapshot.hashes import read_hashes, recall, tabulate_files
    from tasks.snapshot.split_folders import find_split_folders
    from tasks.snapshot.tables.label_tables import LabelSource
    from tasks.snapshot.walk import list_unread

    snapshot = known.run.take_snapshot()
    if known.snapshot:
        return _recorded(known.root, known.snapshot)
    download = snapshot.requires()
    if download is not None and not download.complete():
        return None
    hashes = read_hashes(snapshot.manifest_path().with_name("hashes.parquet"))
    try:
        unread = list_unread(snapshot.source(), by_table=bool(snapshot.labels))
        source = LabelSource(snapshot.labels, snapshot.label_column)
        listing, table = list_labelled(snapshot.photos(), unread, source, hashes)
    except DatasetError:
        last = last_snapshot(known.root, snapshot.dataset.name, snapshot.date)
        if last is None or snapshot.on_missing_source == "fail":
            raise
        return _recorded(known.root, last.manifest.key)
    if listing.is_parquet:
        return _rows(listing.parquet_files, hashes, snapshot.photos(), None if table else snapshot.label_column)
    splits = {} if table and table.names else find_split_folders([file.path for file in listing.files])
    files = select_labelled(listing, table, splits)
    found = recall(tabulate_files(files), hashes)
    keys = pa.array({sha256 for sha256 in found if sha256}, pa.string())
    gone = set(hashes["path"].to_pylist() if hashes is not None else ()) - {file.path for file in files}
    return InputPhotos(keys, found.count(None), len(files), len(gone))


def _rows(files: Sequence[PhotoFile], known: pa.Table | None, folder: AnyPath, label_column: str | None) -> InputPhotos:
    """The photos of Parquet files, whose labels are in a column or, if that is None, in a table."""
    from tasks.snapshot.parquet.photo_rows import count_rows, recall_rows

    rows, missing = recall_rows(files, known, label_column)
    new = count_rows(folder, missing)
    used = pc.not_equal(rows["sha256"], "") if label_column is None else rows["label"].is_valid()
    keys = pc.unique(rows["sha256"].filter(used))
    gone = 0 if known is None else known.num_rows - rows.num_rows - new
    return InputPhotos(keys, new, rows.num_rows + new, max(gone, 0))


def _recorded(root: DataRoot, snapshot: str) -> InputPhotos:
    """The photos of a snapshot that was taken."""
    from tasks.snapshot.photos import read_snapshot, usable

    table = read_snapshot(root, snapshot)
    return InputPhotos(usable(table)["sha256"].combine_chunks(), 0, table.num_rows, 0)


def _step(known: KnownStages, photos: InputPhotos | None, stage: str) -> PlanStep:
    key, size = known.key(stage), sum(measure(place).bytes for place in known.places(stage))
    if stage == "train" and "export" in known.tasks:
        # The export lies in the folder of the model, and has a line of its own.
        size -= sum(measure(place).bytes for place in known.places("export"))
    step = PlanStep(stage, StepState.TO_DO, key, bytes=size if key else None)
    if stage == "snapshot":
        return _snapshot_step(known, step, photos)
    if stage in known.store_keys:
        return _store_step(known, step, photos)
    if stage == RECORD.name:
        return _record_step(known, step)
    return _plain_step(known, step)


def _plain_step(known: KnownStages, step: PlanStep) -> PlanStep:
    task = known.tasks.get(step.stage)
    if task is not None:
        if step.stage == "report" and step.key is None:
            export = known.tasks.get("export")
            before = "export" if export is not None and not export.is_published() else "champion"
            return replace(step, state=StepState.BLOCKED, note=f"waits for the {before}")
        if not task.complete():
            return step
        # A backbone has no photos.
        return replace(step, state=StepState.DONE, present=task.manifest().photos or None)
    if step.stage == "export" and is_refused(known.run, known.tasks):
        return replace(step, state=StepState.BLOCKED, note="the model is below --min-accuracy")
    return replace(step, state=StepState.BLOCKED, note=_waits(known))


def _record_step(known: KnownStages, step: PlanStep) -> PlanStep:
    if known.run.complete():
        return replace(step, state=StepState.DONE)
    record = read_record(known.run.record_path()) or {}
    refused = "the model" if record.get("champion", {}).get("verdict") == "refused" else ""
    refused = "the export" if refused_export(record) else refused
    return replace(step, note=f"{refused} was refused; a run says so again" if refused else "")


def _waits(known: KnownStages) -> str:
    if not known.prepared:
        return "waits for the backbone"
    download = known.tasks.get("download")
    if download is not None and not download.complete():
        return "waits for the download"
    return "waits for the snapshot"


def _snapshot_step(known: KnownStages, step: PlanStep, photos: InputPhotos | None) -> PlanStep:
    if photos is None:
        return replace(step, state=StepState.BLOCKED, note="waits for the download")
    if known.taken:
        return replace(step, state=StepState.DONE, present=photos.files, missing=0)
    gone = f"gone: {photos.gone:,}" if photos.gone else ""
    note = "the photos are as on another date" if known.snapshot else gone
    return replace(step, present=photos.files - photos.new, missing=photos.new, note=note)


def _store_step(known: KnownStages, step: PlanStep, photos: InputPhotos | None) -> PlanStep:
    if step.key is None or photos is None:
        return replace(step, state=StepState.BLOCKED, note=_waits(known))
    try:
        present = int(_found(known, step.stage, photos.keys).sum())
    except StoreError as exc:
        return replace(step, state=StepState.BLOCKED, note=str(exc), broken=True)
    task = known.tasks.get(step.stage)
    done = task is not None and task.complete()
    return replace(
        step, state=StepState.DONE if done else StepState.TO_DO, present=present, missing=photos.wanted - present
    )


def _found(known: KnownStages, stage: str, keys: pa.Array) -> npt.NDArray[np.bool_]:
    """Which photos a store has a row for, bool [N]; a rejected photo counts, since it is not tried again."""
    from tasks.decode.photos import open_stores

    index = number_of(stage) - 1
    if kind_of(stage) == "decode":
        stores = open_stores(known.root, known.decodes[index])
        return stores.decoded.found(keys) | stores.rejected.found(keys)
    bottleneck = known.bottlenecks[index]
    rejected = open_stores(known.root, bottleneck.decode).rejected
    return bottleneck.store(known.root).found(keys) | rejected.found(keys)
