"""Luigi task of the snapshot stage."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import luigi

from tasks.catalog import Dataset
from tasks.download.source_fallback import (
    INVALIDATED,
    ON_MISSING_SOURCE,
    UNREACHABLE,
    LastSnapshot,
    describe_fallback,
    fall_back,
    last_snapshot,
    stored_settings,
    unreachable_cause,
)
from tasks.download.task import FetchDataset, archive_state
from tasks.errors import DatasetError, PipelineError
from tasks.keys import KEY_LENGTH
from tasks.parameters import ChoiceParameter, NumberParameter, SettingsParameter
from tasks.paths import AnyPath, to_path
from tasks.progress import Progress
from tasks.shards.manifests import StageResult
from tasks.snapshot.label_folders import photos_folder
from tasks.snapshot.labels import check_labels, label_changes
from tasks.snapshot.parquet.row_paths import photos_root
from tasks.snapshot.photo_io import photo_sha256
from tasks.snapshot.spec import SNAPSHOT
from tasks.stage import RunStageTask
from tasks.storage.files import is_there, listed

if TYPE_CHECKING:
    from tasks.snapshot.photos import Snapshot  # it imports pyarrow, which a complete task does not need


class TakeSnapshot(RunStageTask):
    """Records the photos of a dataset on a date: one row a photo, keyed by content."""

    dataset: SettingsParameter[Dataset] = SettingsParameter(Dataset, description="The dataset, as JSON.")
    date: luigi.DateParameter = luigi.DateParameter(description="Date of the run.")
    max_shrink: NumberParameter[float] = NumberParameter(
        float, 0, 1, default=0.2, description="Share of the last snapshot's photos that may be gone."
    )
    on_missing_source: ChoiceParameter = ChoiceParameter(
        *ON_MISSING_SOURCE, default="fail", description="What to do if the photos cannot be reached."
    )

    corrections: luigi.Parameter[str] = luigi.Parameter(
        default="", description="CSV file of labels that photos have in place of their folders'; empty is none."
    )

    labels: luigi.Parameter[str] = luigi.Parameter(
        default="", description="Table of labels; empty for metadata.csv, .jsonl or .parquet beside the photos."
    )
    label_column: luigi.Parameter[str] = luigi.Parameter(
        default="", description="Column of the labels in the table; empty is label."
    )

    stage = SNAPSHOT.name

    def requires(self) -> FetchDataset | None:
        """Return the download; None for a folder, which is used in place."""
        if self.dataset.kind == "folder":
            return None
        return FetchDataset(
            context=self.context, dataset=self.dataset, date=self.date, on_missing_source=self.on_missing_source
        )

    def manifest_path(self) -> AnyPath:
        """Each date has a manifest, which names the snapshot."""
        return self.root.snapshots(self.dataset.name) / f"{self.date}.json"

    def complete(self) -> bool:
        """Whether the date has a snapshot that this run took, that is of a past date, or that matches the source.

        An invalidated snapshot is taken again, unless a run of its past date has ended with it.
        """
        if not self.is_published():
            return False
        manifest = self.manifest()
        own, state = manifest.run == self.run_id, manifest.details["state"]
        # A record of the date names its snapshot.
        if state == INVALIDATED and not own and not listed(self.root.runs(self.dataset.name), f"{self.date}-*.json"):
            return False
        return self.is_current(state, own=own)

    def is_current(self, state: str, *, own: bool) -> bool:
        """Whether results are current, given the state of the source when they were made, and whether this run did.

        Results of this run stay: photos that were added since are for the next run. Those of a past date stay too,
        without a look at the source.
        """
        if own or self.date < dt.date.today():
            return True
        return state == self.source_state() and (state != UNREACHABLE or self.on_missing_source == "use-last")

    def source_state(self) -> str:
        """State of the dataset's source, of the table of labels and of the corrections; see `source_state`."""
        state = source_state(self.dataset, by_table=bool(self.labels))
        if state == UNREACHABLE:
            return state
        return self._with_files(state, *(_digest(name) if name else "" for name in (self.labels, self.corrections)))

    def _with_files(self, state: str, labels: str, corrections: str) -> str:
        """State of a source and of files, given the hashes of their bytes; empty where there is none."""
        given = " ".join(filter(None, (labels, self.label_column)))
        return " ".join(filter(None, (state, given and f"labels {given}", corrections)))

    def photos(self) -> AnyPath:
        """Return the folder of the snapshot's paths."""
        return photos_root(self.source())

    def source(self) -> AnyPath:
        """Return the folder or the Parquet file that the photos are listed in."""
        download = self.requires()
        if download is None:
            return to_path(self.dataset.location)
        folder = download.extracted(download.manifest().key)
        # The photos of an unreachable source may be gone; then the stores hold all that is needed of them.
        return photos_folder(folder, self._gives_labels) if is_there(folder) else folder

    def _gives_labels(self, folder: AnyPath, name: str) -> bool:
        from tasks.snapshot.tables.label_tables import gives_labels

        return not self.labels and gives_labels(folder, name, self.label_column)

    def work(self, progress: Progress) -> StageResult:
        """Hash new photos and publish the snapshot; if the source is unreachable, the last one may be used again."""
        last = last_snapshot(self.root, self.dataset.name, self.date)
        download = self.requires()
        if last is not None and download and (unreached := download.manifest().details.get("unreached")):
            return self._reuse(last, unreached, progress)
        try:
            snapshot = self._take(progress)
        except DatasetError as exc:
            why = unreachable_cause(self.dataset, exc)
            if last is None or why is None or self.dataset.kind != "folder":
                raise
            return self._reuse(last, fall_back(self.dataset, why, last, self.on_missing_source, exc), progress)
        if last is not None and snapshot.photos == 0 and self.dataset.kind == "folder":
            # Such as the mount point of a disk that is not mounted.
            why = "it holds no photo that can be read"
            return self._reuse(last, fall_back(self.dataset, why, last, self.on_missing_source), progress)
        return self._publish(snapshot, last)

    def _reuse(self, last: LastSnapshot, unreached: Mapping[str, str], progress: Progress) -> StageResult:
        """Use the last snapshot in place of a new one; `unreached` describes the fallback, see `fall_back`."""
        progress.tell(describe_fallback(unreached))
        details = {**last.manifest.details, "state": UNREACHABLE, "unreached": unreached}
        return self._result(last.manifest.key, last.manifest.photos, 0, details)

    def _take(self, progress: Progress) -> "Snapshot":
        with progress.preparing("imports"):
            from tasks.snapshot.corrections import read_corrections
            from tasks.snapshot.hashes import read_hashes
            from tasks.snapshot.photos import take_snapshot
            from tasks.snapshot.tables.label_tables import LabelSource

        corrections = read_corrections(to_path(self.corrections)) if self.corrections else None
        labels = LabelSource(self.labels, self.label_column)
        return take_snapshot(self.source(), read_hashes(self._hashes()), progress, corrections, labels)

    def _publish(self, snapshot: "Snapshot", last: LastSnapshot | None) -> StageResult:
        """Check and publish a snapshot."""
        from tasks.shards.parquet import publish_parquet
        from tasks.snapshot.given_splits import count_splits
        from tasks.snapshot.photos import read_snapshot, usable
        from tasks.snapshot.shrink_guard import check_shrink

        if last is not None:
            check_shrink(read_snapshot(self.root, last.manifest.key), snapshot.files, self.max_shrink, last.photos_of)
        publish_parquet(self._hashes(), snapshot.hashes)
        given = count_splits(usable(snapshot.table)) if snapshot.given else None
        check_labels(snapshot.labels, snapshot.ignored, given, snapshot.label_table)
        publish_parquet(self.root.snapshot(snapshot.key), snapshot.table)
        state = source_state(self.dataset) if self.dataset.kind != "folder" else snapshot.state
        corrected = snapshot.corrected
        corrections = corrected.corrections.digest if corrected else ""
        details = {
            "state": self._with_files(state, snapshot.labels_digest, corrections),
            "labels": snapshot.labels,
            # Without given splits, the record stays as that of earlier versions.
            **({"given_splits": asdict(snapshot.given)} if snapshot.given else {}),
            **({"label_table": snapshot.label_table} if snapshot.label_table else {}),
            "merged_labels": snapshot.merged_labels,
            "duplicates": snapshot.duplicates,
            "conflicts": snapshot.conflicts,
            "corrections": corrected.details() if corrected else None,
            **snapshot.ignored.details(),
            "unreached": None,
        }
        return self._result(snapshot.key, snapshot.photos, snapshot.hashed, details)

    def _result(self, key: str, photos: int, hashed: int, details: Mapping[str, Any]) -> StageResult:
        # Not an earlier snapshot of the same date: photos of today are new today, however often the command is run.
        before = last_snapshot(self.root, self.dataset.name, self.date, earlier=True)
        changes = label_changes(before.manifest.details["labels"] if before else None, details["labels"])
        return StageResult(
            key=key,
            snapshot=key,
            settings=stored_settings(self.dataset),
            photos=photos,
            new=hashed,
            reused=photos - hashed,
            details={**details, "label_changes": changes},
        )

    def _hashes(self) -> AnyPath:
        return self.root.snapshots(self.dataset.name) / "hashes.parquet"


def _digest(file: str) -> str:
    try:
        return photo_sha256(to_path(file))[:KEY_LENGTH]
    except (OSError, PipelineError):
        # The stage reads the file and raises its error.
        return "missing"


def source_state(dataset: Dataset, *, by_table: bool = False) -> str:
    """State of a dataset's source, without reading photos; raises no errors.

    Args:
        dataset: The dataset.
        by_table: Whether a table elsewhere gives the labels, so that photos directly in a folder count.

    Returns:
        For a folder a fingerprint of paths, sizes and versions, else the state that the download stage compares;
        `UNREACHABLE` if the source cannot be read or a folder has no photo: the stage that needs it raises the error.
    """
    from tasks.snapshot.walk import list_unread

    try:
        if dataset.kind != "folder":
            return archive_state(dataset)
        listing = list_unread(to_path(dataset.location), by_table=by_table)
    except PipelineError:
        return UNREACHABLE
    return listing.state() if listing.files or listing.unclear or listing.parquet_files else UNREACHABLE
