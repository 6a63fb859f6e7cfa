"""Luigi task of the snapshot stage."""

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import luigi

from tasks.catalog import Dataset
from tasks.download.source_fallback import (
    INVALIDATED,
    ON_MISSING_SOURCE,
    UNREACHABLE,
    LastSnapshot,
    UnreachableSource,
    describe_fallback,
    fall_back,
    last_snapshot,
    shown_location,
    stored_settings,
    unreachable_cause,
)
from tasks.download.task import FetchDataset, archive_state
from tasks.errors import DatasetError, PipelineError
from tasks.parameters import ChoiceParameter, NumberParameter, SettingsParameter
from tasks.paths import AnyPath, to_path
from tasks.progress import Progress
from tasks.shards.manifests import Manifest, StageResult
from tasks.shards.parquet import publish_parquet
from tasks.snapshot.ignored_names import unwanted_name
from tasks.snapshot.listing import is_photo_suffix
from tasks.stage import RunStageTask
from tasks.storage.files import listed

if TYPE_CHECKING:
    from tasks.snapshot.photos import Snapshot  # pyarrow's tables, which a task that is complete needs none of


class TakeSnapshot(RunStageTask):
    """Records which photos a dataset has on a date: one row a photo, keyed by content."""

    dataset: SettingsParameter[Dataset] = SettingsParameter(Dataset, description="The dataset, as JSON.")
    date: luigi.DateParameter = luigi.DateParameter(description="Date of the run.")
    max_shrink: NumberParameter[float] = NumberParameter(
        float, 0, 1, default=0.2, description="Share of the last snapshot's photos that may be gone."
    )
    on_missing_source: ChoiceParameter = ChoiceParameter(
        *ON_MISSING_SOURCE, default="fail", description="What to do where the photos cannot be reached."
    )

    stage = "snapshot"

    def requires(self) -> FetchDataset | None:
        """The download, unless the dataset is a folder, which is used in place."""
        if self.dataset.kind == "folder":
            return None
        return FetchDataset(
            context=self.context,
            dataset=self.dataset,
            date=self.date,
            on_missing_source=self.on_missing_source,
        )

    def manifest_path(self) -> AnyPath:
        """One a date; it names the snapshot."""
        return self.root.snapshots(self.dataset.name) / f"{self.date}.json"

    def complete(self) -> bool:
        """Whether there is one for the date that this run took, or that is past, or that the source still matches.

        One that a stage invalidated is taken again, but for a past date that has been trained on it.
        """
        if not self.is_published():
            return False
        manifest = self.manifest()
        own, state = manifest.run == self.run_id, manifest.details["state"]
        if state == INVALIDATED and not own and not self._has_record():
            return False
        return is_current(self.date, own, state, self.dataset, self.on_missing_source)

    def _has_record(self) -> bool:
        """Whether a run of the date has ended: then a past date keeps the snapshot that its record names."""
        return bool(listed(self.root.runs(self.dataset.name), f"{self.date}-*.json"))

    def before(self) -> dict[str, Manifest]:
        """Manifest of the download, where there was one, by its stage."""
        download = self.requires()
        return {} if download is None else {download.stage: download.manifest()}

    def photos(self) -> AnyPath:
        """The folder that the snapshot's paths are relative to."""
        download = self.requires()
        return to_path(self.dataset.location) if download is None else download.photos(unwanted_name, is_photo_suffix)

    def work(self, progress: Progress) -> StageResult:
        """Hash what is new, and publish the snapshot; where the source is away, that of the last time stands again."""
        last = last_snapshot(self.root, self.dataset.name, self.date)
        found = self._not_fetched(last) or self._look(last, progress)
        if isinstance(found, UnreachableSource):
            progress.tell(describe_fallback(found.details()))
            manifest = found.last.manifest
            own = {"state": UNREACHABLE, "unreached": found.details()}
            return self._outcome(manifest.key, manifest.photos, 0, {**manifest.details, **own})
        return self._publish(found, last)

    def _not_fetched(self, last: LastSnapshot | None) -> UnreachableSource | None:
        """What to go on with where the download stage says that it could reach nothing."""
        download = self.before().get(FetchDataset.stage)
        told = download.details.get("unreached") if download else None
        return UnreachableSource(told["source"], told["why"], last) if told and last else None

    def _look(self, last: LastSnapshot | None, progress: Progress) -> "Snapshot | UnreachableSource":
        """Take a snapshot of what is there, or say what to go on with where a folder is away."""
        with progress.preparing("imports"):
            from tasks.snapshot.hashes import read_hashes
            from tasks.snapshot.photos import take_snapshot

        known = last if self.dataset.kind == "folder" else None
        try:
            archive = "" if self.dataset.kind == "folder" else shown_location(self.dataset)
            snapshot = take_snapshot(self.photos(), read_hashes(self._hashes()), progress, archive)
        except DatasetError as exc:
            why = unreachable_cause(self.dataset, exc)
            if known is None or why is None:
                raise
            return fall_back(self.dataset, why, known, self.on_missing_source, exc)
        if known is not None and snapshot.photos == 0:
            # As the mount point of a disk is that is not mounted.
            return fall_back(self.dataset, "it holds no photo that can be read", known, self.on_missing_source)
        return snapshot

    def _publish(self, snapshot: "Snapshot", last: LastSnapshot | None) -> StageResult:
        """Publish a snapshot that may be used."""
        from tasks.snapshot.photos import check_labels, read_snapshot
        from tasks.snapshot.shrink_guard import check_shrink

        if last is not None:
            check_shrink(read_snapshot(self.root, last.manifest.key), snapshot.table, self.max_shrink, last.photos_of)
        publish_parquet(self._hashes(), snapshot.hashes)
        check_labels(snapshot.labels, ignored=snapshot.ignored)
        publish_parquet(self.root.snapshot(snapshot.key), snapshot.table)
        details = {
            "state": source_state(self.dataset) if self.dataset.kind != "folder" else snapshot.state,
            "labels": snapshot.labels,
            "merged_labels": snapshot.merged_labels,
            "duplicates": snapshot.duplicates,
            "conflicts": snapshot.conflicts,
            **snapshot.ignored.details(),
            "unreached": None,
        }
        return self._outcome(snapshot.key, snapshot.photos, snapshot.hashed, details)

    def _outcome(self, key: str, photos: int, hashed: int, details: Mapping[str, Any]) -> StageResult:
        from tasks.snapshot.shrink_guard import label_changes

        # Not an earlier look on the same date: what came today is new today, however often the command is run.
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


def is_current(date: dt.date, own: bool, state: str, dataset: Dataset, on_missing_source: str) -> bool:
    """Whether what was made for a date still stands.

    Args:
        date: The date.
        own: Whether this very run made it: then photos that were added since are the next run's.
        state: How the source looked.
        dataset: The source; a past date no longer looks at it.
        on_missing_source: Whether it may stand on photos whose source could not be reached.
    """
    if own or date < dt.date.today():
        return True
    return state == source_state(dataset) and (state != UNREACHABLE or on_missing_source == "use-last")


def source_state(dataset: Dataset) -> str:
    """How a dataset's source looks from outside, without reading photos: cheap, and it raises nothing.

    Returns:
        For a folder a fingerprint of paths, sizes and versions, else what the download stage sees of it; `UNREACHABLE`
        where the source cannot be read or a folder holds no photo: the stage that needs it says what is wrong.
    """
    from tasks.snapshot.walk import list_unread

    try:
        if dataset.kind != "folder":
            return archive_state(dataset)
        listing = list_unread(to_path(dataset.location))
    except PipelineError:
        return UNREACHABLE
    return listing.state() if listing.files or listing.unclear else UNREACHABLE
