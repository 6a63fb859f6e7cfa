"""Luigi task of the download stage."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import luigi

from tasks.catalog import SAMPLE_VERSION, Dataset
from tasks.download.source_fallback import AWAY, ON_MISSING_SOURCE, go_on, kept, last_snapshot, place, why_unreached
from tasks.errors import DatasetError, DownloadError, PipelineError, StoreError
from tasks.keys import KEY_LENGTH
from tasks.parameters import ChoiceParameter, SettingsParameter
from tasks.paths import AnyPath, file_version
from tasks.progress import Progress
from tasks.shards.manifests import Manifest, StageResult, read_manifest
from tasks.stage import StageTask
from tasks.storage.files import is_there, listed, publish_folder

if TYPE_CHECKING:
    from tasks.download.fetch import Fetched  # httpx, which a task that is complete needs none of

#: What the file of a URL may be called as the URL calls it: no name of ours, which end so or are keys.
_PLAIN = re.compile(
    rf"(?![0-9a-f]{{{KEY_LENGTH}}}\Z)[a-z0-9][a-z0-9._-]{{0,99}}(?<!\.json|\.part)(?<!\.sha256)", re.IGNORECASE
)


class FetchDataset(StageTask):
    """Brings the photos of a URL, an archive or `sample` into the data root; a folder needs none of this."""

    dataset: SettingsParameter[Dataset] = SettingsParameter(Dataset, description="The dataset, as JSON.")
    date: luigi.DateParameter = luigi.DateParameter(description="Date of the run, on which a URL is asked again.")
    on_missing_source: ChoiceParameter = ChoiceParameter(
        *ON_MISSING_SOURCE, default="fail", description="What to do where the photos cannot be reached."
    )

    stage = "download"

    def manifest_path(self) -> AnyPath:
        """A URL whose hash nobody knows may serve another file each day; everything else stays what it is."""
        name = "manifest" if self.dataset.sha256 or self.dataset.kind != "url" else f"{self.date}"
        return self.root.downloads(self.dataset.name) / f"{name}.json"

    def complete(self) -> bool:
        """Whether the photos are there, and their source still looks as it did, or it was away for this very run."""
        if not self.is_published():
            return False
        manifest = self.manifest()
        try:
            if manifest.details["state"] == AWAY:
                return manifest.run == self.run_id
            return manifest.details["state"] == outside(self.dataset) and is_there(self.extracted(manifest.key))
        except PipelineError:
            # Luigi would show a traceback here; `run` meets the same error and shows its sentence.
            return False

    def extracted(self, key: str) -> AnyPath:
        """Where the archive of that key was extracted to."""
        return self.root.downloads(self.dataset.name) / key

    def photos(self, unwanted_name: Callable[[str], object], told_by_name: Callable[[str], bool | None]) -> AnyPath:
        """The folder of the label folders, once the task is complete; the snapshot's rules tell which they are."""
        from tasks.download.archives import photos_folder  # noqa: PLC0415 (not needed where nothing is to be done)

        folder = self.extracted(self.manifest().key)
        # What an unreachable source once held may be gone; then all that is wanted of it is in the stores.
        return photos_folder(folder, unwanted_name, told_by_name) if is_there(folder) else folder

    def work(self, progress: Progress) -> StageResult:
        """Fetch or draw the archive, then extract it; where it is away, let the run go on with what came before."""
        try:
            return self._bring(progress)
        except (DatasetError, DownloadError) as exc:
            why, last = why_unreached(self.dataset, exc), last_snapshot(self.root, self.dataset.name, self.date)
            if why is None or last is None:
                raise
            unreached = go_on(self.dataset, why, last, self.on_missing_source, exc).details()
        before = self._before()
        return StageResult(
            key=before.key if before else last.manifest.key,
            snapshot="",
            settings=kept(self.dataset),
            photos=before.photos if before else 0,
            new=0,
            reused=before.photos if before else 0,
            details={**(before.details if before else {}), "state": AWAY, "unreached": unreached},
        )

    def _before(self) -> Manifest | None:
        """What was fetched last; None where nobody knows any more."""
        for path in reversed(listed(self.root.downloads(self.dataset.name), "*.json")):
            try:
                manifest = read_manifest(path)
            except (FileNotFoundError, StoreError):
                # Most likely what a fetch keeps of its file.
                continue
            return manifest
        return None

    def _notes_on(self, key: str) -> list[str]:
        """What an earlier extraction had to say of the archive of that key."""
        before = self._before()
        return list(before.details.get("notes", [])) if before and before.key == key else []

    def _bring(self, progress: Progress) -> StageResult:
        with progress.preparing("imports"):
            from tasks.download.archives import extract  # noqa: PLC0415 (only where there is work)

        # Before the hash, so that an archive that is replaced meanwhile is seen to have changed.
        state = outside(self.dataset)
        archive = self._archive(progress)
        folder = self.extracted(archive.sha256[:KEY_LENGTH])
        if is_there(folder):
            new, photos, notes = 0, sum(1 for _ in self.root.storage.files_below(folder)), self._notes_on(folder.name)
        else:
            with publish_folder(folder, progress) as temporary:
                new, notes = extract(archive.path, temporary, progress)
            photos = new
        self._drop(archive.path)
        for note in notes:
            progress.tell(f"{place(self.dataset)}: {note}")
        return StageResult(
            key=folder.name,
            snapshot="",
            settings=kept(self.dataset),
            photos=photos,
            new=new,
            reused=photos - new,
            details={
                "sha256": archive.sha256,
                "bytes": archive.size,
                "state": state,
                "unreached": None,
                "notes": notes,
            },
        )

    def _archive(self, progress: Progress) -> "Fetched":
        with progress.preparing("imports"):
            from tasks.download.archives import verify  # noqa: PLC0415 (only where there is work)
            from tasks.download.fetch import Expected, fetch, file_at  # noqa: PLC0415
            from tasks.download.sample import draw_sample  # noqa: PLC0415
            from tasks.download.staging import staging_folder  # noqa: PLC0415

        if self.dataset.kind == "archive":
            return file_at(Path(self.dataset.location))
        place = staging_folder(self.root.downloads(self.dataset.name))
        if self.dataset.kind == "sample":
            archive = place.folder / f"sample-{SAMPLE_VERSION}.tgz"
            if not archive.is_file():
                draw_sample(archive, int(self.dataset.location), progress)
            return file_at(archive)
        archive = place.folder / archive_name(self.dataset.location)
        expected = Expected(self.dataset.size, self.dataset.sha256, check=verify, made=self._is_extracted)
        with place.shared(archive):
            return fetch(self.dataset.location, archive, expected, progress)

    def _drop(self, archive: Path) -> None:
        """Free this machine of an archive that is unpacked on an object store; what a person put there stays."""
        from tasks.download.fetch import state_of  # noqa: PLC0415 (only where there is work)

        ours = self.dataset.kind == "sample" or (self.dataset.kind == "url" and state_of(archive).is_file())
        if not self.root.storage.has_folders and ours:
            archive.unlink(missing_ok=True)

    def _is_extracted(self, sha256: str) -> bool:
        """Whether an archive is not needed: only on an object store, where machines come and go."""
        return not self.root.storage.has_folders and is_there(self.extracted(sha256[:KEY_LENGTH]))


def archive_name(url: str) -> str:
    """What the file of a URL is called on the disk: as in the URL, where no other file of ours can be called so."""
    name = urlsplit(url).path.rpartition("/")[2]
    return name if _PLAIN.fullmatch(name) else "archive"


def outside(dataset: Dataset) -> str:
    """How the source of an archive looks from outside: changed, it is fetched, drawn or extracted again.

    Args:
        dataset: Anything but a folder.

    Returns:
        Size and version of a user's archive, the version of the drawing of `sample`; a URL looks alike
        always, and is asked again on the next date.

    Raises:
        DatasetError: The user's archive is gone.
    """
    if dataset.kind == "sample":
        return f"version {SAMPLE_VERSION}"
    if dataset.kind == "url":
        return "a URL"
    try:
        status = Path(dataset.location).stat()
    except OSError as exc:
        raise DatasetError(
            f"The archive {dataset.location} cannot be read ({exc.strerror}). Put it back or give another --dataset."
        ) from exc
    return f"{status.st_size} {file_version(status)}"
