"""Luigi task of the serving stage."""

from typing import Any

import luigi

from tasks.errors import StoreError
from tasks.parameters import NumberParameter
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.serving.spec import SERVING
from tasks.serving.versions import ServingState, serve_champion, served_state
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
        """Whether this run has published the champion, or nothing is due and the manifest tells the present state."""
        if not self.is_published():
            return False
        manifest = self.manifest()
        if manifest.run == self.run_id:
            return True
        try:
            state = served_state(self.root, self.dataset)
        except StoreError:
            return False
        return not state.due and manifest.details == _details(state)

    def work(self, progress: Progress) -> StageResult:
        """Publish the champion if it is not the newest version."""
        state = serve_champion(self.root, self.dataset, self.keep_versions, progress)
        return StageResult(
            key=state.champion or "",
            snapshot=self.snapshot,
            settings={"dataset": self.dataset},
            photos=0,
            new=int(state.published),
            reused=int(bool(state.version) and not state.published),
            details=_details(state),
        )


def _details(state: ServingState) -> dict[str, Any]:
    version = state.version
    return {
        "version": version.number if version else None,
        "model": version.model if version else None,
        "obstacle": state.obstacle,
    }
