"""Sources that cannot be reached: how they differ from other failures, and which photos a run falls back on."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

from tasks.catalog import Dataset
from tasks.download.retry_policy import FetchError
from tasks.download.urls import redact_url, url_identity
from tasks.errors import DatasetError, DownloadError, PipelineError
from tasks.paths import AnyPath
from tasks.settings import settings_from
from tasks.shards.manifests import Manifest, find_manifest
from tasks.storage.files import listed
from tasks.storage.layout import DataRoot
from tasks.storage.remote_listing import StoreUnreachableError

#: Choices where the photos of a dataset cannot be reached.
ON_MISSING_SOURCE = ("fail", "use-last")
#: State of a source that cannot be reached.
UNREACHABLE = ""
#: State in the manifest of a snapshot whose files turned out to have changed: no source has it.
INVALIDATED = "changed after the snapshot"


class LastSnapshot(NamedTuple):
    """The newest snapshot of a dataset, and the date that it was taken for."""

    date: dt.date
    manifest: Manifest

    @property
    def photos_of(self) -> str:
        """The date whose photos it holds; an earlier one where the source could not be reached on its own date."""
        unreached = self.manifest.details.get("unreached")
        return str(unreached["photos_of"]) if unreached else f"{self.date}"


def last_snapshot(root: DataRoot, dataset: str, until: dt.date, *, earlier: bool = False) -> LastSnapshot | None:
    """Find the newest snapshot of a dataset until a date; with `earlier`, one of an earlier date.

    A snapshot that is gone or whose manifest is damaged counts as absent.
    """
    for date in sorted(filter(None, map(_date, listed(root.snapshots(dataset), "*.json"))), reverse=True):
        if date < until or (date == until and not earlier):
            manifest = find_manifest(root.snapshots(dataset) / f"{date}.json")
            if manifest is not None and root.snapshot(manifest.key).is_file():
                return LastSnapshot(date, manifest)
    return None


def last_known_dataset(root: DataRoot, name: str) -> Dataset | None:
    """Return a dataset as its last snapshot describes it, wherever its photos are now; None without a snapshot."""
    last = last_snapshot(root, name, dt.date.max)
    return None if last is None else settings_from(Dataset, last.manifest.settings)


def stored_settings(dataset: Dataset) -> dict[str, Any]:
    """Return a dataset as the disk keeps it: its URL without passwords and tokens."""
    location = url_identity(dataset.location) if dataset.kind == "url" else dataset.location
    return asdict(replace(dataset, location=location))


def shown_location(dataset: Dataset) -> str:
    """Return where a dataset's photos are, for people: without passwords and tokens."""
    return redact_url(dataset.location) if dataset.kind == "url" else dataset.location


def unreachable_cause(dataset: Dataset, exc: PipelineError) -> str | None:
    """Return in a few words why a source could not be reached; None where the error has another cause."""
    cause = exc.__cause__
    if isinstance(exc, DownloadError) and isinstance(cause, FetchError):
        return str(cause)
    if isinstance(exc, DatasetError) and isinstance(cause, StoreUnreachableError):
        return cause.why
    if isinstance(exc, DatasetError) and isinstance(cause, OSError):
        below = cause.filename if Path(cause.filename or dataset.location) != Path(dataset.location) else None
        return f"{cause.strerror}: {below}" if below else cause.strerror or str(cause)
    return None


def fall_back(
    dataset: Dataset, why: str, last: LastSnapshot, on_missing_source: str, cause: PipelineError | None = None
) -> dict[str, str]:
    """Use the last snapshot in place of a source that cannot be reached, if `on_missing_source` allows it.

    Returns:
        The fallback, as manifests and records keep it: the source for people, the cause in a few words (`why`), and the
        date whose photos are used (`photos_of`).

    Raises:
        DatasetError: The run may not go on without the photos.
        DownloadError: Likewise, where they come from a URL.
    """
    url = dataset.kind == "url"
    source = f"{'URL' if url else dataset.kind} {shown_location(dataset)}"
    if on_missing_source == "use-last":
        return {"source": source, "why": why, "photos_of": last.photos_of}
    error, remedy = (DownloadError, "Check it and the connection") if url else (DatasetError, "Mount it or put it back")
    remedy = getattr(cause and cause.__cause__, "remedy", remedy)
    raise error(
        f"The {source} could not be reached ({why}); everything from before is kept. {remedy} and run again, "
        f"or go on with the photos of {last.photos_of}: --on-missing-source use-last."
    ) from cause


def describe_fallback(details: Mapping[str, str]) -> str:
    """Return a sentence about a fallback, a result of `fall_back`."""
    return (
        f"The {details['source']} could not be reached ({details['why']}); the photos of {details['photos_of']} were "
        "used."
    )


def _date(path: AnyPath) -> dt.date | None:
    try:
        return dt.date.fromisoformat(path.stem)
    except ValueError:
        return None
