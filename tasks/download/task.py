"""Luigi task of the download stage."""

from dataclasses import asdict
from pathlib import Path

import luigi

from tasks.artifacts import KEY_LENGTH, Outcome, file_sha256, publish_folder
from tasks.catalog import SAMPLE_VERSION, Dataset
from tasks.errors import DownloadError
from tasks.parameters import SettingsParameter
from tasks.progress import Progress
from tasks.stage import StageTask


class FetchDataset(StageTask):
    """Brings the photos of a URL, an archive or `sample` onto the disk; a folder needs none of this."""

    dataset: SettingsParameter[Dataset] = SettingsParameter(Dataset, description="The dataset, as JSON.")
    date: luigi.DateParameter = luigi.DateParameter(description="Date of the run, on which a URL is asked again.")

    stage = "download"

    def manifest_path(self) -> Path:
        """A URL whose hash nobody knows may serve another file each day; everything else stays what it is."""
        name = "manifest" if self.dataset.sha256 or self.dataset.kind != "url" else f"{self.date}"
        return self.root.downloads(self.dataset.name) / f"{name}.json"

    def complete(self) -> bool:
        """Whether the photos are there, and their source still looks as it did."""
        if not self.is_published():
            return False
        manifest = self.manifest()
        try:
            return manifest.details["state"] == outside(self.dataset) and self.extracted(manifest.key).is_dir()
        except DownloadError:
            # Luigi would show a traceback here; `run` meets the same error and shows its sentence.
            return False

    def extracted(self, key: str) -> Path:
        """Where the archive of that key was extracted to."""
        return self.root.downloads(self.dataset.name) / key

    def photos(self) -> Path:
        """The folder of the label folders, once the task is complete."""
        from tasks.download.archives import photos_folder  # noqa: PLC0415 (not needed where nothing is to be done)

        return photos_folder(self.extracted(self.manifest().key))

    def work(self, progress: Progress) -> Outcome:
        """Fetch or draw the archive, then extract it."""
        with progress.preparing("imports"):
            from tasks.download.archives import extract  # noqa: PLC0415 (only where there is work)

        # Before the hash, so that an archive that is replaced meanwhile is seen to have changed.
        state = outside(self.dataset)
        archive = self._archive(progress)
        sha256 = file_sha256(archive)
        folder = self.extracted(sha256[:KEY_LENGTH])
        if folder.is_dir():
            new, photos = 0, sum(1 for path in folder.rglob("*") if path.is_file())
        else:
            with publish_folder(folder) as temporary:
                new = photos = extract(archive, temporary, progress)
        return Outcome(
            key=folder.name,
            snapshot="",
            settings=asdict(self.dataset),
            photos=photos,
            new=new,
            reused=photos - new,
            details={"sha256": sha256, "bytes": archive.stat().st_size, "state": state},
        )

    def _archive(self, progress: Progress) -> Path:
        with progress.preparing("imports"):
            from tasks.download.fetch import Expected, fetch  # noqa: PLC0415 (only where there is work)
            from tasks.download.sample import draw_sample  # noqa: PLC0415

        folder = self.root.downloads(self.dataset.name)
        if self.dataset.kind == "archive":
            return Path(self.dataset.location)
        if self.dataset.kind == "sample":
            archive = folder / f"sample-{SAMPLE_VERSION}.tgz"
            if not archive.is_file():
                draw_sample(archive, int(self.dataset.location), progress)
            return archive
        archive = folder / (self.dataset.location.rsplit("/", 1)[-1].split("?")[0] or "archive")
        expected = Expected(self.dataset.size, self.dataset.sha256)
        return fetch(self.dataset.location, archive, expected, progress).path


def outside(dataset: Dataset) -> str:
    """How the source of an archive looks from outside: changed, it is fetched, drawn or extracted again.

    Args:
        dataset: Anything but a folder.

    Returns:
        Size and mtime in nanoseconds of a user's archive, the version of the drawing of `sample`; a URL looks alike
        always, and is asked again on the next date.

    Raises:
        DownloadError: The user's archive is gone.
    """
    if dataset.kind == "sample":
        return f"version {SAMPLE_VERSION}"
    if dataset.kind == "url":
        return "a URL"
    try:
        status = Path(dataset.location).stat()
    except OSError as exc:
        raise DownloadError(
            f"The archive {dataset.location} cannot be read ({exc.strerror}). Put it back or give another --dataset."
        ) from exc
    return f"{status.st_size} {status.st_mtime_ns}"
