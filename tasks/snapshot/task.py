"""Luigi task of the snapshot stage."""

import datetime as dt
from dataclasses import asdict
from pathlib import Path

import luigi

from tasks.artifacts import Manifest, Outcome, publish_parquet
from tasks.catalog import Dataset
from tasks.download.task import FetchDataset, outside
from tasks.errors import PipelineError
from tasks.parameters import Choice, Number, SettingsParameter
from tasks.progress import Progress
from tasks.stage import StageTask

#: What to do where a dataset's photos cannot be reached.
ON_MISSING_SOURCE = ("fail", "use-last")


class TakeSnapshot(StageTask):
    """Records which photos a dataset has on a date: one row a photo, keyed by content."""

    dataset: SettingsParameter[Dataset] = SettingsParameter(Dataset, description="The dataset, as JSON.")
    date: luigi.DateParameter = luigi.DateParameter(description="Date of the run.")
    max_shrink: Number[float] = Number(
        float, 0, 1, default=0.2, description="Share of the last snapshot's photos that may be gone."
    )
    on_missing_source: Choice = Choice(
        *ON_MISSING_SOURCE, default="fail", description="What to do where the photos cannot be reached."
    )

    stage = "snapshot"

    def requires(self) -> FetchDataset | None:
        """The download, unless the dataset is a folder, which is used in place."""
        if self.dataset.kind == "folder":
            return None
        return FetchDataset(data_root=self.data_root, run_id=self.run_id, dataset=self.dataset, date=self.date)

    def manifest_path(self) -> Path:
        """One a date; it names the snapshot."""
        return self.root.snapshots(self.dataset.name) / f"{self.date}.json"

    def complete(self) -> bool:
        """Whether there is one for the date that this run took, or that is past, or that the source still matches."""
        if not self.is_published():
            return False
        manifest = self.manifest()
        return is_current(self.date, manifest.run == self.run_id, manifest.details["state"], self.dataset)

    def before(self) -> dict[str, Manifest]:
        """Manifest of the download, where there was one, by its stage."""
        download = self.requires()
        return {} if download is None else {download.stage: download.manifest()}

    def photos(self) -> Path:
        """The folder that the snapshot's paths are relative to."""
        download = self.requires()
        return Path(self.dataset.location) if download is None else download.photos()

    def work(self, progress: Progress) -> Outcome:
        """Hash what is new, and publish the snapshot."""
        with progress.preparing("imports"):
            from tasks.snapshot.hashes import read_hashes  # noqa: PLC0415 (not needed where nothing is to be done)
            from tasks.snapshot.photos import check_labels, take_snapshot  # noqa: PLC0415

        hashes = self.root.snapshots(self.dataset.name) / "hashes.parquet"
        snapshot = take_snapshot(self.photos(), read_hashes(hashes), progress)
        publish_parquet(hashes, snapshot.hashes)
        check_labels(snapshot.labels)
        publish_parquet(self.root.snapshot(snapshot.key), snapshot.table)
        return Outcome(
            key=snapshot.key,
            snapshot=snapshot.key,
            settings=asdict(self.dataset),
            photos=snapshot.photos,
            new=snapshot.hashed,
            reused=snapshot.photos - snapshot.hashed,
            details={
                "state": source_state(self.dataset) if self.dataset.kind != "folder" else snapshot.state,
                "labels": snapshot.labels,
                "duplicates": snapshot.duplicates,
                "conflicts": snapshot.conflicts,
                "ignored": dict(snapshot.ignored),
            },
        )


def is_current(date: dt.date, own: bool, state: str, dataset: Dataset) -> bool:
    """Whether what was made for a date still stands.

    Args:
        date: The date.
        own: Whether this very run made it: then photos that were added since are the next run's.
        state: How the source looked.
        dataset: The source; a past date no longer looks at it.
    """
    return own or date < dt.date.today() or state == source_state(dataset)


def source_state(dataset: Dataset) -> str:
    """How a dataset's source looks from outside, without reading photos: cheap, and it raises nothing.

    Returns:
        For a folder a fingerprint of paths, sizes and mtimes, else what the download stage sees of it; empty where the
        source cannot be read: the stage that needs it says what is wrong.
    """
    from tasks.snapshot.walk import list_files  # noqa: PLC0415

    try:
        if dataset.kind == "folder":
            return list_files(Path(dataset.location)).state()
        return outside(dataset)
    except PipelineError:
        return ""
