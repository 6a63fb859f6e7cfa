"""Garbage collection: removes old records first, then the outputs that only they named."""

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import groupby

from tasks.errors import PipelineError, StoreError
from tasks.events import emit
from tasks.paths import AnyPath
from tasks.progress import NullProgress, Progress
from tasks.runs.retention.garbage import CollectionPlan, Garbage, plan_collection
from tasks.runs.retention.live_set import Policy
from tasks.runs.stages import RECORD
from tasks.runtime.os_errors import explain_store_error
from tasks.storage.cleanup import sweep_root
from tasks.storage.files import listed, lock_folder, read_each
from tasks.storage.layout import DataRoot
from tasks.storage.removal import remove
from tasks.storage.survey import DiskUsage


@dataclass(frozen=True)
class Collected:
    """Result of a collection."""

    runs: int  #: Number of records that were removed.
    footprint: DiskUsage  #: Disk usage of all that was removed.


def collect(root: DataRoot, policy: Policy, progress: Progress, shown: Collection[AnyPath] | None = None) -> Collected:
    """Remove garbage. Killed anywhere, nothing that is kept lacks anything.

    The index is written anew before anything but records is removed, so that it leads to no report that is gone.

    Args:
        root: The data root; no run may be under way in it. A compaction is waited for.
        policy: Rules of which runs stay.
        progress: Counts the files.
        shown: The paths that a person agreed to remove; None is all garbage.

    Raises:
        StoreError: A run is under way, a record cannot be read, or something cannot be removed.
    """
    with _explain_errors(root), root.storage.lock_root(root.path), _lock_stores(plan_collection(root, policy)):
        # Again, since a compaction may have ended meanwhile, or a run since a person was asked.
        plan = plan_collection(root, policy)
        pieces = [piece for piece in plan.pieces if shown is None or piece.path in shown]
        progress.start(sum(piece.footprint.files for piece in pieces), "files")
        records = [piece for piece in pieces if piece.stage == RECORD.name]
        _remove(records, root, progress)
        if pieces:
            from tasks.report.index import publish_index  # noqa: PLC0415 (not needed where nothing goes)

            publish_index(root)
        _remove([piece for piece in pieces if piece.stage != RECORD.name], root, progress)
        sweep_root(root)
        list(read_each(root.storage.clear_lock, _run_locks(root), root.path))
    return Collected(len(records), sum((piece.footprint for piece in pieces), DiskUsage(0, 0)))


def collect_after_run(root: DataRoot, runs: int, record: AnyPath) -> None:
    """Remove older runs of a dataset when a run of it has ended, and log what was freed, or why nothing was.

    Args:
        root: The data root.
        runs: How many runs of the dataset stay, the newest.
        record: Record of the run that has ended, which stays whatever its date is.
    """
    try:
        # Workers of one program share its lock on the data root; the locks of runs tell them apart.
        locks = [lock for lock in _run_locks(root) if _is_other(lock, record)]
        held = zip(locks, read_each(root.storage.is_held, locks, root.path), strict=True)
        others = ", ".join(lock.parent.name for lock, at_work in held if at_work)
        if others:
            raise StoreError(f"Other runs are under way: {others}. The next run tries again.")
        done = collect(root, Policy(runs, (record.parent.name,), record, damaged=False), NullProgress())
    except Exception as exc:
        if not isinstance(exc, (OSError, PipelineError)) and explain_store_error(exc) is None:
            raise
        # The run is complete, and the next one tries again.
        why = str(exc if isinstance(exc, PipelineError) else explain_store_error(exc) or exc)
        emit("not_collected", f"Old runs  not removed: {why}", error=why)
        return
    freed = f"{done.footprint.files:,} files, {done.footprint.bytes / 1e6:,.1f} MB"
    text = f"Old runs  {done.runs:,} removed with what only they needed: {freed}" if done.footprint.files else None
    emit("collected", text, runs=done.runs, files=done.footprint.files, bytes=done.footprint.bytes)


def _run_locks(root: DataRoot) -> list[AnyPath]:
    """The lock files of runs, whether a process holds them or not."""
    return [path for folder in listed(root.below("runs")) for path in listed(folder, ".*.lock")]


def _is_other(lock: AnyPath, record: AnyPath) -> bool:
    """Whether a lock is not the one of a record's own run."""
    return lock.parent != record.parent or not record.name.startswith(f"{lock.stem.removeprefix('.')}-")


@contextmanager
def _explain_errors(root: DataRoot) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise StoreError(
            f"Old outputs in {root.path} cannot be removed ({exc}). Mend the rights of the data root, and try again; "
            "everything that is kept is complete."
        ) from exc


@contextmanager
def _lock_stores(plan: CollectionPlan) -> Iterator[None]:
    """Lock the stores that stay: a compaction moves rows into shards that no manifest names yet."""
    with ExitStack() as stack:
        for store in plan.stores:
            stack.enter_context(lock_folder(store))
        yield


def _remove(pieces: list[Garbage], root: DataRoot, progress: Progress) -> None:
    """Remove garbage in its order; in an object store many files of the same folder at once."""
    # A download's manifests go before what was extracted beside them.
    for _, beside in groupby(pieces, lambda piece: (piece.path.parent, piece.path.suffix)):
        group = list(beside)
        removed = read_each(lambda piece: remove(piece.path, root), group, root.path)
        for piece, _ in zip(group, removed, strict=True):
            progress.advance(piece.footprint.files)
