"""Luigi task of the predict stage."""

import secrets
from functools import cached_property
from typing import TYPE_CHECKING

import luigi

from tasks.decode.rejections import Reason
from tasks.errors import PipelineError
from tasks.events import emit
from tasks.parameters import FolderParameter
from tasks.paths import AnyPath, to_path
from tasks.predict.models import find_model
from tasks.predict.spec import PREDICT
from tasks.progress import Progress
from tasks.run_context import RunContext
from tasks.runtime.os_errors import explain_os_errors
from tasks.shards.manifests import Manifest, StageResult
from tasks.stage import StageTask

if TYPE_CHECKING:
    from tasks.predict.folder import FolderState


class PredictFolder(StageTask):
    """Predicts the photos of a folder that the model has not predicted yet."""

    model: luigi.Parameter[str] = luigi.Parameter(
        description="Key or folder of a head or network, the record of a run, or the name of a dataset, which stands "
        "for its champion."
    )
    folder: luigi.Parameter[str] = luigi.Parameter(description="Folder of photos, at any depth.")
    data_root: FolderParameter = FolderParameter(
        default="data", description="Folder of everything that the stages write."
    )
    run_id: luigi.Parameter[str] = luigi.Parameter(
        default=f"predict-{secrets.token_hex(4)}", significant=False, description="Name of the run in manifests."
    )

    stage = PREDICT.name
    on_gpus = True

    @property
    def context(self) -> RunContext:
        """The data root and the name of the run."""
        return RunContext(self.data_root, self.run_id)

    @cached_property
    def model_folder(self) -> AnyPath:
        """Folder of the model; looked up once, so that a run uses one champion from start to end.

        Raises:
            ModelError: There is no such model.
        """
        return find_model(self.model, self.root)

    @cached_property
    def source(self) -> "FolderState":
        """The photos; listed once, so that the next run predicts those that are added during this run.

        Raises:
            DatasetError: The folder is missing or cannot be read.
        """
        from tasks.predict.folder import read_folder_state

        return read_folder_state(to_path(self.folder))

    @property
    def key(self) -> str:
        """Key of the predictions."""
        from tasks.predict.folder import predictions_key

        return predictions_key(self.model_folder.name, self.source.listing)

    def manifest_path(self) -> AnyPath:
        """The manifest beside the predictions."""
        return self.root.below("predict", self.key, "manifest.json")

    def complete(self) -> bool:
        """Whether the model has predicted these photos, and no unreadable photo is worth another try."""
        with explain_os_errors(f"The stage {self.stage}", self.root.path):
            return self._is_predicted()

    def _is_predicted(self) -> bool:
        try:
            if not super().complete():
                return False
        except PipelineError:
            # Luigi would log a traceback here; `run` raises the same error, which is logged as a sentence.
            return False
        manifest = self.manifest()
        # A file whose permissions were corrected looks unchanged.
        return manifest.run == self.run_id or all(Reason(reason).about_bytes for reason in manifest.details["reasons"])

    def work(self, progress: Progress) -> StageResult:
        """Predict the new photos."""
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
                "unknown": counts.unknown,
                "unreadable": sum(counts.reasons.values()),
                "reasons": dict(counts.reasons),
                **self.source.listing.summarise_ignored().details(),
            },
        )

    def closing(self, manifest: Manifest) -> str:
        """Return the lines that report the finished stage."""
        return f"{super().closing(manifest)}\n\n{self.summary(manifest)}"

    def summary(self, manifest: Manifest) -> str:
        """Return lines that summarise the predictions and name their file."""
        details = manifest.details
        lines = [("Model", self.model_folder), ("Photos", f"{manifest.photos:,} predicted{_unreadable(manifest)}")]
        if manifest.photos:
            lines.append(("Labels", ", ".join(f"{label} {count:,}" for label, count in details["labels"].items())))
        if details["unknown"] is not None:
            counted = f"{details['unknown']:,} of {manifest.photos:,} photos: unlike the training photos"
            lines.append(("Unknown", counted))
        # Other files of the folder, which may have changed since the predictions were made.
        lines += self.source.listing.summarise_ignored().lines("No photo")
        lines.append(("Predictions", self.manifest_path().with_name("predictions.parquet")))
        return "\n".join(f"{name:<12} {value}" for name, value in lines)


def _unreadable(manifest: Manifest) -> str:
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in manifest.details["reasons"].items())
    return f"; {manifest.details['unreadable']:,} unreadable ({reasons})" if reasons else ""


def _report_nothing_to_do(task: PredictFolder) -> None:
    message = f"Nothing to do: the model has already predicted these photos in {task.folder}."
    emit("nothing_to_do", f"{message}\n{task.summary(task.manifest())}", stage=task.stage, key=task.key)


PredictFolder.event_handler(luigi.Event.DEPENDENCY_PRESENT)(_report_nothing_to_do)
