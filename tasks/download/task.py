"""Luigi task of the download stage."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import luigi

from tasks.catalog import SAMPLE_VERSION, Dataset
from tasks.download.source_fallback import (
    ON_MISSING_SOURCE,
    UNREACHABLE,
    fall_back,
    last_snapshot,
    shown_location,
    stored_settings,
    unreachable_cause,
)
from tasks.download.spec import DOWNLOAD
from tasks.errors import DatasetError, DownloadError, PipelineError
from tasks.keys import KEY_LENGTH
from tasks.parameters import ChoiceParameter, SettingsParameter
from tasks.paths import AnyPath, file_version
from tasks.progress import Progress
from tasks.shards.manifests import Manifest, StageResult, find_manifest
from tasks.stage import RunStageTask
from tasks.storage.files import is_there, listed, publish_folder

if TYPE_CHECKING:
    from tasks.download.fetch import FetchedFile  # httpx, which a task that is complete needs none of

#: File names that are taken over from a URL: none of ours, which end so or are keys.
_SAFE_NAME = re.compile(
    rf"(?![0-9a-f]{{{KEY_LENGTH}}}\Z)[a-z0-9][a-z0-9._-]{{0,99}}(?<!\.json|\.part)(?<!\.sha256)", re.IGNORECASE
)


class FetchDataset(RunStageTask):
    """Fetches the photos of a URL, an archive or `sample` into the data root; a folder needs none of this."""

    dataset: SettingsParameter[Dataset] = SettingsParameter(Dataset, description="The dataset, as JSON.")
    date: luigi.DateParameter = luigi.DateParameter(description="Date of the run, on which a URL is asked again.")
    on_missing_source: ChoiceParameter = ChoiceParameter(
        *ON_MISSING_SOURCE, default="fail", description="What to do if the photos cannot be reached."
    )

    stage = DOWNLOAD.name

    def manifest_path(self) -> AnyPath:
        """A URL of unknown hash may serve another file each day, and has a manifest a date; others have one."""
        name = "manifest" if self.dataset.sha256 or self.dataset.kind != "url" else f"{self.date}"
        return self.root.downloads(self.dataset.name) / f"{name}.json"

    def complete(self) -> bool:
        """Whether the photos are there and their source is unchanged, or could not be reached in this very run."""
        if not self.is_published():
            return False
        manifest = self.manifest()
        try:
            if manifest.details["state"] == UNREACHABLE:
                return manifest.run == self.run_id
            return manifest.details["state"] == archive_state(self.dataset) and is_there(self.extracted(manifest.key))
        except PipelineError:
            # Luigi would show a traceback here; `run` meets the same error and shows its sentence.
            return False

    def extracted(self, key: str) -> AnyPath:
        """Return the folder that the archive of a key is extracted to."""
        return self.root.downloads(self.dataset.name) / key

    def work(self, progress: Progress) -> StageResult:
        """Fetch or draw the archive, then extract it; where it cannot be reached, fall back on earlier photos."""
        try:
            return self._fetch_and_extract(progress)
        except (DatasetError, DownloadError) as exc:
            why, last = unreachable_cause(self.dataset, exc), last_snapshot(self.root, self.dataset.name, self.date)
            if why is None or last is None:
                raise
            unreached = fall_back(self.dataset, why, last, self.on_missing_source, exc)
        manifest = self._last_manifest()
        photos = manifest.photos if manifest else 0
        details = {**(manifest.details if manifest else {}), "state": UNREACHABLE, "unreached": unreached}
        return self._result(manifest.key if manifest else last.manifest.key, photos, 0, details)

    def _fetch_and_extract(self, progress: Progress) -> StageResult:
        with progress.preparing("imports"):
            from tasks.download.archives import extract

        # Before the hash, so that an archive that is replaced meanwhile is seen to have changed.
        state = archive_state(self.dataset)
        archive = self._archive(progress)
        folder = self.extracted(archive.sha256[:KEY_LENGTH])
        if is_there(folder):
            manifest = self._last_manifest()
            notes = manifest.details.get("notes", []) if manifest and manifest.key == folder.name else []
            new, photos = 0, sum(1 for _ in self.root.storage.files_below(folder))
        else:
            with publish_folder(folder, progress) as temporary:
                new, notes = extract(archive.path, temporary, progress)
            photos = new
        self._delete_staged(archive.path)
        for note in notes:
            progress.tell(f"{shown_location(self.dataset)}: {note}")
        details = {"sha256": archive.sha256, "bytes": archive.size, "state": state, "unreached": None, "notes": notes}
        return self._result(folder.name, photos, new, details)

    def _result(self, key: str, photos: int, new: int, details: dict[str, Any]) -> StageResult:
        settings = stored_settings(self.dataset)
        return StageResult(key, "", settings, photos, new, reused=photos - new, details=details)

    def _last_manifest(self) -> Manifest | None:
        """Return the manifest of the last fetch; None where there is none that can be read."""
        paths = reversed(listed(self.root.downloads(self.dataset.name), "*.json"))
        # The states of fetched files are no manifests.
        return next(filter(None, map(find_manifest, paths)), None)

    def _archive(self, progress: Progress) -> "FetchedFile":
        with progress.preparing("imports"):
            from tasks.download.archives import verify
            from tasks.download.fetch import Expected, fetch, local_file
            from tasks.download.staging import staged
            from tasks.synthetic.sample import draw_sample

        if self.dataset.kind == "archive":
            return local_file(Path(self.dataset.location))
        is_sample, location = self.dataset.kind == "sample", self.dataset.location
        name = f"sample-{SAMPLE_VERSION}.tgz" if is_sample else archive_name(location)
        with staged(self.root.downloads(self.dataset.name), name) as archive:
            if is_sample:
                if not archive.is_file():
                    draw_sample(archive, int(location), progress)
                return local_file(archive)
            expected = Expected(self.dataset.size, self.dataset.sha256, verify=verify, is_used_up=self._is_extracted)
            return fetch(location, archive, expected, progress)

    def _delete_staged(self, archive: Path) -> None:
        """Delete an archive that is unpacked on an object store from this machine; a file of the user's stays."""
        from tasks.download.fetch import state_path

        ours = self.dataset.kind == "sample" or (self.dataset.kind == "url" and state_path(archive).is_file())
        if not self.root.storage.has_folders and ours:
            archive.unlink(missing_ok=True)

    def _is_extracted(self, sha256: str) -> bool:
        """Whether an archive is not needed: only on an object store, where machines come and go."""
        return not self.root.storage.has_folders and is_there(self.extracted(sha256[:KEY_LENGTH]))


def archive_name(url: str) -> str:
    """Return the name of a URL's file on the disk: as in the URL, unless another file of ours may have it."""
    name = urlsplit(url).path.rpartition("/")[2]
    return name if _SAFE_NAME.fullmatch(name) else "archive"


def archive_state(dataset: Dataset) -> str:
    """Return a text that differs where an archive has to be drawn or extracted again.

    It is always the same for a URL, which is requested again on the next date.

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
