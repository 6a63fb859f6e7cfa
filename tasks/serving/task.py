"""Luigi task of the serving stage."""

import luigi

from tasks.parameters import NumberParameter
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.serving.spec import SERVING
from tasks.serving.versions import current_version, is_served, serve_champion
from tasks.shards.manifests import StageResult
from tasks.stage import RunStageTask


class ServeChampion(RunStageTask):
    """Publishes the champion of a dataset for model servers, whichever run made it champion.

    The decision on the champion and the export of the run's own model come before it.
    """

    dataset: luigi.Parameter[str] = luigi.Parameter(description="Name of the dataset.")
    date: luigi.DateParameter = luigi.DateParameter(description="Date of the run.")
    keep_versions: NumberParameter[int] = NumberParameter(
        int, 1, default=3, significant=False, description="Number of versions to keep."
    )

    stage = SERVING.name

    def manifest_path(self) -> AnyPath:
        """The manifest is beside the versions; servers look only at names that are numbers."""
        return self.root.serving(self.dataset) / "manifest.json"

    def complete(self) -> bool:
        """Whether this run has published the champion, or the manifest names the version of the present one."""
        if not self.is_published():
            return False
        manifest = self.manifest()
        if manifest.run == self.run_id:
            return True
        current = current_version(self.root, self.dataset)
        is_told = manifest.details["version"] == (current.number if current else None)
        return is_told and is_served(self.root, self.dataset)

    def work(self, progress: Progress) -> StageResult:
        """Publish the champion if it is not the newest version."""
        version, published, champion, obstacle = serve_champion(self.root, self.dataset, self.keep_versions, progress)
        return StageResult(
            key=champion or "",
            snapshot=self.snapshot,
            settings={"dataset": self.dataset},
            photos=0,
            new=int(published),
            reused=int(bool(version) and not published),
            details={
                "version": version.number if version else None,
                "model": version.model if version else None,
                "obstacle": obstacle,
            },
        )
