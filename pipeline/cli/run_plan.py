"""What a run would find done and what it would have to do, seen without running anything."""

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.cli.estimate import PER_NEW, PER_PHOTO, Estimate, RemainingWork, estimate, read_past
from pipeline.cli.stages import STAGES, STORES, KnownStages, is_refused, known_chain
from pipeline.retrain import RetrainFlowers
from pipeline.summary import refused_export
from tasks.download.source_fallback import last_snapshot
from tasks.errors import DatasetError, PipelineError, StoreError
from tasks.runs.records import read_record
from tasks.stage_names import kind_of, number_of
from tasks.storage.layout import DataRoot
from tasks.storage.listing_cache import read_each
from tasks.storage.removal import measure


class StepState(StrEnum):
    """How a stage stands."""

    DONE = "done"
    TO_DO = "to do"
    BLOCKED = "blocked"


@dataclass(frozen=True)
class PlanStep:
    """How a stage stands.

    Args:
        stage: Its name.
        state: `blocked` where what it stands on is not known yet, or where there is an error.
        key: Key of what it keeps; None where it is not known.
        present: Photos that it has a result for; None where it keeps none, or nobody knows.
        missing: Photos that it has none for.
        bytes: What it keeps takes on the disk.
        note: Why it is blocked, or what else there is to say.
        broken: Whether the note is an error that a run would end with.
    """

    stage: str
    state: StepState
    key: str | None = None
    present: int | None = None
    missing: int | None = None
    bytes: int | None = None
    note: str = ""
    broken: bool = False


@dataclass(frozen=True)
class RunPlan:
    """How a run stands.

    Args:
        steps: Its stages, in their order.
        ahead: Names of those that a run would do.
        estimate: How long that would take; None where there is nothing to do, or an error.
        problem: An error that the run would end with; empty where none is known.
    """

    steps: tuple[PlanStep, ...]
    ahead: tuple[str, ...]
    estimate: Estimate | None
    problem: str

    def step(self, stage: str) -> PlanStep:
        """How a stage stands."""
        return next(step for step in self.steps if step.stage == stage)


class PlannedPhotos(NamedTuple):
    """The photos that a run would work on.

    Args:
        keys: sha256 of those whose hash is known, each once.
        new: How many files there are that were never read.
        files: How many files there are in all.
        gone: How many the last snapshot had that are not there now.
    """

    keys: pa.Array
    new: int
    files: int
    gone: int

    @property
    def wanted(self) -> int:
        """How many a run would use; duplicates among those that were never read are not known yet."""
        return len(self.keys) + self.new


def plan_run(run: RetrainFlowers) -> RunPlan:
    """Look how a run stands; runs nothing and writes nothing."""
    try:
        chain = known_chain(run)
        photos = _photos(chain)
    except PipelineError as exc:
        return RunPlan(tuple(PlanStep(stage, StepState.BLOCKED) for stage in STAGES), (), None, str(exc))
    steps = tuple(read_each(partial(_step, chain, photos), chain.stages(), chain.root.path))
    problem = next((step.note for step in steps if step.broken), "")
    if steps[-1].state is StepState.DONE or problem:
        return RunPlan(steps, (), None, problem)
    refused = is_refused(run, chain.tasks)
    ahead = {
        step.stage: _ahead(step, photos)
        for step in steps
        if step.state is not StepState.DONE and not (refused and step.stage == "export")
    }
    # The record takes no time of its own.
    timed = {stage: own for stage, own in ahead.items() if stage != "record"}
    return RunPlan(steps, tuple(ahead), estimate(timed, run.parameters(), read_past(run.root)), "")


def _ahead(step: PlanStep, photos: PlannedPhotos | None) -> RemainingWork:
    if kind_of(step.stage) in PER_NEW:
        return RemainingWork(step.key, step.missing)
    every = photos.wanted if photos is not None else None
    return RemainingWork(None, every if step.stage in PER_PHOTO else None)


def _photos(chain: KnownStages) -> PlannedPhotos | None:
    """The photos that a run would work on; None where they are still to be fetched."""
    from tasks.snapshot.hashes import read_hashes, recall, tabulate_files
    from tasks.snapshot.labels import check_split_folders
    from tasks.snapshot.walk import list_files

    snapshot = chain.run.take_snapshot()
    if chain.snapshot:
        return _known(chain.root, chain.snapshot)
    download = snapshot.requires()
    if download is not None and not download.complete():
        return None
    known = read_hashes(snapshot.manifest_path().with_name("hashes.parquet"))
    try:
        files = list_files(snapshot.photos()).files
    except DatasetError:
        last = last_snapshot(chain.root, snapshot.dataset.name, snapshot.date)
        if last is None or snapshot.on_missing_source == "fail":
            raise
        return _known(chain.root, last.manifest.key)
    check_split_folders([file.path for file in files], snapshot.photos())
    found = recall(tabulate_files(files), known)
    keys = pa.array({sha256 for sha256 in found if sha256}, pa.string())
    gone = set(known["path"].to_pylist() if known is not None else ()) - {file.path for file in files}
    return PlannedPhotos(keys, found.count(None), len(files), len(gone))


def _known(root: DataRoot, snapshot: str) -> PlannedPhotos:
    """The photos of a snapshot that was taken."""
    from tasks.snapshot.photos import read_snapshot, usable

    table = read_snapshot(root, snapshot)
    return PlannedPhotos(usable(table)["sha256"].combine_chunks(), 0, table.num_rows, 0)


def _step(chain: KnownStages, photos: PlannedPhotos | None, stage: str) -> PlanStep:
    key, size = chain.key(stage), sum(measure(place).bytes for place in chain.places(stage))
    if stage == "train" and "export" in chain.tasks:
        # It lies in the folder of what was trained, and has a line of its own.
        size -= sum(measure(place).bytes for place in chain.places("export"))
    step = PlanStep(stage, StepState.TO_DO, key, bytes=size if key else None)
    if stage == "snapshot":
        return _snapshot_step(chain, step, photos)
    if kind_of(stage) in STORES:
        return _store_step(chain, step, photos)
    if stage == "record":
        return _record_step(chain, step)
    return _plain_step(chain, step)


def _plain_step(chain: KnownStages, step: PlanStep) -> PlanStep:
    task = chain.tasks.get(step.stage)
    if task is not None:
        if step.stage == "report" and step.key is None:
            before = "export" if _is_missing(chain, "export") else "champion"
            return replace(step, state=StepState.BLOCKED, note=f"waits for the {before}")
        if not task.complete():
            return step
        # A backbone has no photos.
        return replace(step, state=StepState.DONE, present=task.manifest().photos or None)
    if step.stage == "export" and is_refused(chain.run, chain.tasks):
        return replace(step, state=StepState.BLOCKED, note="the model is below --min-accuracy")
    return replace(step, state=StepState.BLOCKED, note=_waits(chain))


def _is_missing(chain: KnownStages, stage: str) -> bool:
    return stage in chain.tasks and not chain.tasks[stage].is_published()


def _record_step(chain: KnownStages, step: PlanStep) -> PlanStep:
    if chain.run.complete():
        return replace(step, state=StepState.DONE)
    record = read_record(chain.run.record_path()) or {}
    refused = "the model" if record.get("champion", {}).get("verdict") == "refused" else ""
    refused = "the export" if refused_export(record) else refused
    return replace(step, note=f"{refused} was refused; a run says so again" if refused else "")


def _waits(chain: KnownStages) -> str:
    if not chain.prepared:
        return "waits for the backbone"
    download = chain.tasks.get("download")
    if download is not None and not download.complete():
        return "waits for the download"
    return "waits for the snapshot"


def _snapshot_step(chain: KnownStages, step: PlanStep, photos: PlannedPhotos | None) -> PlanStep:
    if photos is None:
        return replace(step, state=StepState.BLOCKED, note="waits for the download")
    if chain.taken:
        return replace(step, state=StepState.DONE, present=photos.files, missing=0)
    gone = f"gone: {photos.gone:,}" if photos.gone else ""
    note = "the photos are as on another date" if chain.snapshot else gone
    return replace(step, present=photos.files - photos.new, missing=photos.new, note=note)


def _store_step(chain: KnownStages, step: PlanStep, photos: PlannedPhotos | None) -> PlanStep:
    if step.key is None or photos is None:
        return replace(step, state=StepState.BLOCKED, note=_waits(chain))
    try:
        present = int(_found(chain, step.stage, photos.keys).sum())
    except StoreError as exc:
        return replace(step, state=StepState.BLOCKED, note=str(exc), broken=True)
    task = chain.tasks.get(step.stage)
    done = task is not None and task.complete()
    return replace(
        step, state=StepState.DONE if done else StepState.TO_DO, present=present, missing=photos.wanted - present
    )


def _found(chain: KnownStages, stage: str, keys: pa.Array) -> npt.NDArray[np.bool_]:
    """Which photos a store has a row for, bool [N]; a rejected photo counts, since it is not tried again."""
    from tasks.decode.photos import open_stores

    place = number_of(stage) - 1
    if kind_of(stage) == "decode":
        stores = open_stores(chain.root, chain.decodes[place])
        return stores.decoded.found(keys) | stores.rejected.found(keys)
    bottleneck = chain.bottlenecks[place]
    rejected = open_stores(chain.root, bottleneck.decode).rejected
    return bottleneck.store(chain.root).found(keys) | rejected.found(keys)
