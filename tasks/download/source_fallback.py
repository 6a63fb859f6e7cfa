"""Sources that cannot be reached: what tells them from other failures, and what a run may go on with."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

from tasks.catalog import Dataset
from tasks.download.urls import identity, shown
from tasks.errors import DatasetError, DownloadError, PipelineError, StoreError
from tasks.paths import AnyPath
from tasks.settings import settings_from
from tasks.shards.manifests import Manifest, read_manifest
from tasks.storage.files import listed
from tasks.storage.layout import DataRoot
from tasks.storage.remote_listing import StoreUnreachableError

#: What to do where a dataset's photos cannot be reached.
ON_MISSING_SOURCE = ("fail", "use-last")
#: How a source that cannot be reached looks from outside.
AWAY = ""
#: How it looks in the manifest of a snapshot whose files turned out to have changed: no source looks like that.
INVALID = "changed after the snapshot"


class LastSnapshot(NamedTuple):
    """The newest snapshot of a dataset.

    Args:
        date: The date that it was taken for.
        manifest: What is known of it.
    """

    date: dt.date
    manifest: Manifest

    @property
    def photos_of(self) -> str:
        """The date whose photos it holds; an earlier one where the source was away on its own."""
        unreached = self.manifest.details.get("unreached")
        return str(unreached["photos_of"]) if unreached else f"{self.date}"


class UnreachableSource(NamedTuple):
    """A source that could not be reached, and what a run goes on with.

    Args:
        source: What it is and where, for people.
        why: Why not, in a few words.
        last: The snapshot that is used in place of a new one.
    """

    source: str
    why: str
    last: LastSnapshot

    def details(self) -> dict[str, str]:
        """What manifests and records keep of it."""
        return {"source": self.source, "why": self.why, "photos_of": self.last.photos_of}


def last_snapshot(root: DataRoot, dataset: str, until: dt.date, *, earlier: bool = False) -> LastSnapshot | None:
    """Find the newest snapshot of a dataset; one that is gone or whose manifest is damaged counts as absent.

    Args:
        root: The data root.
        dataset: Name of the dataset.
        until: The last date that counts.
        earlier: Whether that date itself does not.
    """
    for date in sorted(filter(None, map(_date, listed(root.snapshots(dataset), "*.json"))), reverse=True):
        if date < until or (date == until and not earlier):
            try:
                manifest = read_manifest(root.snapshots(dataset) / f"{date}.json")
            except (FileNotFoundError, StoreError):
                continue
            if root.snapshot(manifest.key).is_file():
                return LastSnapshot(date, manifest)
    return None


def remembered(root: DataRoot, name: str) -> Dataset | None:
    """A dataset as its last snapshot knew it, wherever its photos are by now; None where there is no snapshot."""
    last = last_snapshot(root, name, dt.date.max)
    return None if last is None else settings_from(Dataset, last.manifest.settings)


def kept(dataset: Dataset) -> dict[str, Any]:
    """A dataset as it is kept on the disk: its URL without passwords and tokens."""
    bare = identity(dataset.location) if dataset.kind == "url" else dataset.location
    return asdict(replace(dataset, location=bare))


def place(dataset: Dataset) -> str:
    """Where a dataset's photos are, for people: without passwords and tokens."""
    return shown(dataset.location) if dataset.kind == "url" else dataset.location


def why_unreached(dataset: Dataset, exc: PipelineError) -> str | None:
    """Say in a few words why a source could not be reached; None where something else is wrong with it.

    Args:
        dataset: Whose source.
        exc: What it failed with.
    """
    from tasks.download.responses import FetchError  # noqa: PLC0415 (imports httpx, and only a failure needs it)

    cause = exc.__cause__
    if isinstance(exc, DownloadError) and isinstance(cause, FetchError):
        return str(cause)
    if isinstance(exc, DatasetError) and isinstance(cause, StoreUnreachableError):
        return cause.why
    if isinstance(exc, DatasetError) and isinstance(cause, OSError):
        below = cause.filename if Path(cause.filename or dataset.location) != Path(dataset.location) else None
        return f"{cause.strerror}: {below}" if below else cause.strerror or str(cause)
    return None


def go_on(
    dataset: Dataset, why: str, last: LastSnapshot, on_missing_source: str, cause: PipelineError | None = None
) -> UnreachableSource:
    """Decide what a run does whose photos cannot be reached.

    Args:
        dataset: Whose photos.
        why: Why not, in a few words.
        last: The newest snapshot.
        on_missing_source: One of `ON_MISSING_SOURCE`.
        cause: What found it out.

    Returns:
        What it goes on with.

    Raises:
        DatasetError: It may not go on without the photos.
        DownloadError: Likewise, where they come from a URL.
    """
    url = dataset.kind == "url"
    unreached = UnreachableSource(f"{'URL' if url else dataset.kind} {place(dataset)}", why, last)
    if on_missing_source == "use-last":
        return unreached
    error, remedy = (DownloadError, "Check it and the connection") if url else (DatasetError, "Mount it or put it back")
    remedy = getattr(cause and cause.__cause__, "remedy", remedy)
    raise error(
        f"The {unreached.source} could not be reached ({why}); everything from before is kept. {remedy} and run again, "
        f"or go on with the photos of {last.photos_of}: --on-missing-source use-last."
    ) from cause


def tell_unreached(details: Mapping[str, str]) -> str:
    """Say that a run went on without its source.

    Args:
        details: Those of an `UnreachableSource`.
    """
    return (
        f"The {details['source']} could not be reached ({details['why']}); the photos of {details['photos_of']} were "
        "used."
    )


def _date(path: AnyPath) -> dt.date | None:
    try:
        return dt.date.fromisoformat(path.stem)
    except ValueError:
        return None
