"""PredictFolder: what a model says of the photos in a folder, as a job that is repeated."""

import secrets
from functools import cached_property
from typing import TYPE_CHECKING

import luigi

from pipeline.cli.models import find_model
from tasks.decode.rejections import Reason
from tasks.errors import PipelineError
from tasks.events import emit
from tasks.parameters import FolderParameter
from tasks.paths import AnyPath, to_path
from tasks.progress import Progress
from tasks.run_context import RunContext
from tasks.runtime.os_errors import explain_os_errors
from tasks.shards.manifests import Manifest, StageResult
from tasks.stage import StageTask

if TYPE_CHECKING:
    from tasks.predict.folder import FolderState


class PredictFolder(StageTask):
    """Predicts the photos of a folder that a model has not seen; does nothing where both are as they were."""

    model: luigi.Parameter[str] = luigi.Parameter(
        description="A head's or network's key, its folder, the record of a run, or the name of a dataset, which "
        "means its champion."
    )
    folder: luigi.Parameter[str] = luigi.Parameter(description="The folder of photos; it may have folders inside.")
    data_root: FolderParameter = FolderParameter(
        default="data", description="Folder of everything that the stages write."
    )
    run_id: luigi.Parameter[str] = luigi.Parameter(
        default=f"predict-{secrets.token_hex(4)}", significant=False, description="Tells one start from another."
    )

    stage = "predict"
    on_gpus = True

    @property
    def context(self) -> RunContext:
        """The data root and this start."""
        return RunContext(self.data_root, self.run_id)

    @cached_property
    def model_folder(self) -> AnyPath:
        """Folder of the model; looked up once, so that a run ends with the champion that it began with.

        Raises:
            ModelError: There is none.
        """
        return find_model(self.model, self.root)

    @cached_property
    def source(self) -> "FolderState":
        """The photos; listed once, so that those that come during a run are the next one's.

        Raises:
            DatasetError: The folder is missing or cannot be read.
        """
        from tasks.predict.folder import read_folder_state

        return read_folder_state(to_path(self.folder))

    @property
    def key(self) -> str:
        """Key of what the model says of these photos."""
        from tasks.predict.folder import predictions_key

        return predictions_key(self.model_folder.name, self.source.listing)

    def manifest_path(self) -> AnyPath:
        """Beside the predictions."""
        return self.root.below("predict", self.key, "manifest.json")

    def complete(self) -> bool:
        """Whether the model was asked of these very photos, and none of them is to be tried again."""
        with explain_os_errors(f"The stage {self.stage}", self.root.path):
            return self._is_predicted()

    def _is_predicted(self) -> bool:
        try:
            if not super().complete():
                return False
        except PipelineError:
            # Luigi would show a traceback here; `run` meets the same error and shows its sentence.
            return False
        manifest = self.manifest()
        # A file whose rights are mended looks as it did.
        return manifest.run == self.run_id or all(Reason(reason).about_bytes for reason in manifest.details["reasons"])

    def work(self, progress: Progress) -> StageResult:
        """Predict what is new."""
        with progress.preparing("imports"):
            from tasks.predict.folder import predict_folder

        counts = predict_folder(self.source, self.model_folder, self.root, progress)
        return StageResult(
            key=self.key,
            snapshot="",
            settings={"model": self.model_folder.name, "folder": self.folder},
            photos=counts.new + counts.reused,
            new=counts.new,
            reused=counts.reused,
            details={
                "labels": dict(counts.labels),
                "unreadable": sum(counts.reasons.values()),
                "reasons": dict(counts.reasons),
                **self.source.listing.summarise_ignored().details(),
            },
        )

    def closing(self, manifest: Manifest) -> str:
        """What a run ends with."""
        return f"{super().closing(manifest)}\n\n{self.told(manifest)}"

    def told(self, manifest: Manifest) -> str:
        """The lines that say what the predictions came to, and where they are."""
        details = manifest.details
        lines = [("Model", self.model_folder), ("Photos", f"{manifest.photos:,} predicted{_unreadable(manifest)}")]
        if manifest.photos:
            lines.append(("Labels", ", ".join(f"{label} {count:,}" for label, count in details["labels"].items())))
        # As the folder is now: what is no photo makes no other predictions.
        lines += self.source.listing.summarise_ignored().lines("No photo")
        lines.append(("Predictions", self.manifest_path().with_name("predictions.parquet")))
        return "\n".join(f"{name:<12} {value}" for name, value in lines)


def _unreadable(manifest: Manifest) -> str:
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in manifest.details["reasons"].items())
    return f"; {manifest.details['unreadable']:,} unreadable ({reasons})" if reasons else ""


def _tell_nothing(task: PredictFolder) -> None:
    nothing = f"Nothing to do: this model was asked of these very photos in {task.folder} before."
    emit("nothing_to_do", f"{nothing}\n{task.told(task.manifest())}", stage=task.stage, key=task.key)


PredictFolder.event_handler(luigi.Event.DEPENDENCY_PRESENT)(_tell_nothing)
