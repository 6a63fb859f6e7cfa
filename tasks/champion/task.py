"""Luigi task of the champion stage."""

from dataclasses import asdict

import luigi

from tasks.champion.champion_file import Champion, headline_figures, read_champion
from tasks.champion.spec import CHAMPION
from tasks.drift.result import describe_changes
from tasks.drift.settings import DriftSettings
from tasks.drift.task import CompareNewPhotos
from tasks.errors import StoreError
from tasks.evaluate.settings import EvaluateSettings
from tasks.evaluate.task import EvaluateHead
from tasks.keys import fingerprint
from tasks.parameters import NumberParameter, SettingsParameter
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.shards.manifests import StageResult
from tasks.stage import RunStageTask

#: Raised when the same models give another decision.
CODE_VERSION = 2


class ChooseChampion(RunStageTask):
    """Decides whether a new model takes the place of its dataset's champion.

    A decision is complete while its champion is champion. Once another model is, a run that asks for the decision again
    makes it anew, for example if a dataset goes back to earlier photos.
    """

    settings: SettingsParameter[EvaluateSettings] = SettingsParameter(EvaluateSettings)
    dataset: luigi.Parameter[str] = luigi.Parameter(description="Name of the dataset.")
    date: luigi.DateParameter = luigi.DateParameter(significant=False, description="Date of the run.")
    min_accuracy: NumberParameter[float] = NumberParameter(
        float, 0, 1, default=0, description="Test accuracy below which a model never becomes champion."
    )

    label_gate: luigi.BoolParameter = luigi.BoolParameter(
        default=True, description="Whether a model that is worse on a label never becomes champion."
    )
    refuse_drift: luigi.BoolParameter = luigi.BoolParameter(
        default=False, description="Whether a model never becomes champion if its new photos differ from earlier ones."
    )
    baseline: luigi.Parameter[str] = luigi.Parameter(
        default="", description="Key of the snapshot that new photos are compared with; empty if there is none."
    )

    stage = CHAMPION.name
    on_gpus = True

    def evaluation(self) -> EvaluateHead:
        """The task that evaluates the new model."""
        return EvaluateHead(context=self.context, settings=self.settings)

    def drift(self) -> CompareNewPhotos:
        """The task that compares the new photos with earlier ones."""
        settings = DriftSettings.of(self.settings.train)
        return CompareNewPhotos(context=self.context, settings=settings, dataset=self.dataset, baseline=self.baseline)

    def requires(self) -> list[EvaluateHead | CompareNewPhotos]:
        """The task that evaluates the new model, and the one that compares the new photos if drift is refused."""
        return [self.evaluation(), *([self.drift()] if self.refuse_drift else [])]

    def key(self) -> str:
        """Return the key of the decision."""
        drift = {"drift": self.drift().manifest_path().stem} if self.refuse_drift else {}
        return fingerprint(
            {
                **drift,
                "dataset": self.dataset,
                "evaluation": self.settings.key(self.snapshot),
                "min_accuracy": self.min_accuracy,
                "label_gate": self.label_gate,
                "code_version": CODE_VERSION,
            }
        )

    def manifest_path(self) -> AnyPath:
        """Each decision has one manifest."""
        return self.root.decisions(self.dataset) / f"{self.key()}.json"

    def complete(self) -> bool:
        """Whether the decision was made by this run, or its champion is still champion, and pinned if it was."""
        if not self.is_published():
            return False
        manifest, champion = self.manifest(), self._champion()
        if manifest.run == self.run_id:
            return True
        is_unpinned = manifest.details.get("kept_by") == "pin" and not (champion and champion.pinned)
        return manifest.details.get("champion") == (champion.model if champion else None) and not is_unpinned

    def work(self, progress: Progress) -> StageResult:
        """Decide, and publish the champion if it is another one than before."""
        with progress.preparing("imports"):
            from tasks.champion.champion_predictions import ChampionInputs
            from tasks.champion.decide import DecisionInputs, decide
            from tasks.champion.policy import Candidate

        train, evaluation = self.settings.train, self.evaluation().manifest()
        changes = self.drift().manifest().details["changes"] if self.refuse_drift else ()
        test = headline_figures(evaluation.details)
        case = DecisionInputs(
            key=self.key(),
            dataset=self.dataset,
            run=self.run_id,
            snapshot=self.snapshot,
            evaluation=evaluation.key,
            test=test,
            new=Candidate(
                train.key(self.snapshot),
                self.date,
                test["accuracy"],
                self.min_accuracy,
                label_gate=self.label_gate,
                drift=describe_changes(changes),
            ),
        )
        inputs = ChampionInputs(self.root, self.context.photo_folder, self.context.weight_paths)
        decision, predicted, recalled = decide(case, inputs, progress)
        return StageResult(
            key=self.key(),
            snapshot=self.snapshot,
            settings={
                "dataset": self.dataset,
                "min_accuracy": self.min_accuracy,
                "label_gate": self.label_gate,
                "refuse_drift": self.refuse_drift,
                **asdict(self.settings),
            },
            photos=predicted + recalled,
            new=predicted,
            reused=recalled,
            details=decision.to_json(),
        )

    def _champion(self) -> Champion | None:
        """Return the present champion; None if there is none or its file is damaged."""
        try:
            return read_champion(self.root.champion(self.dataset))
        except StoreError:
            return None
