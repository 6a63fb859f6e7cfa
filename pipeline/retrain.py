"""RetrainFlowers: retrains the classifier of a dataset for a date."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import luigi

from pipeline.model_task import ModelTask
from pipeline.summary import (
    figures,
    is_worse,
    new_photos,
    not_good_enough,
    refused_export,
    summarise,
    summarise_nothing,
)
from tasks.backbone.backbones import Prepared
from tasks.download.source_fallback import describe_fallback
from tasks.drift.baseline import find_baseline
from tasks.drift.settings import ON_DRIFT
from tasks.errors import ModelError, ModelRejectedError, PipelineError
from tasks.parameters import ChoiceParameter, NumberParameter
from tasks.report.task import WriteReport
from tasks.runs.record_writer import publish_record
from tasks.runs.records import find_changes, read_record
from tasks.serving.task import ServeChampion
from tasks.shards.manifests import Manifest
from tasks.snapshot.ignored import IgnoredSummary
from tasks.snapshot.labels import describe_corrections, describe_label_table
from tasks.stage import StageTask

#: By task, whether another process worked on the same dataset and date when this one began.
_waited: dict[str, bool] = {}


class RetrainFlowers(ModelTask):
    """Retrains the classifier of a dataset for a date: snapshot, decode, bottlenecks, head, evaluation, report."""

    min_accuracy: NumberParameter[float] = NumberParameter(
        float, 0, 1, default=0, description="Test accuracy below which a model is neither exported nor made champion."
    )
    export: ChoiceParameter = ChoiceParameter(
        "all",
        "none",
        default="all",
        description="Export the model for other programs, as a SavedModel, for Keras and for LiteRT, or do not.",
    )
    label_gate: ChoiceParameter = ChoiceParameter(
        "true",
        "false",
        default="true",
        description="Do not make a model champion that is significantly worse on a label, or compare all photos alone.",
    )
    on_drift: ChoiceParameter = ChoiceParameter(
        *ON_DRIFT,
        default="warn",
        description="If the new photos differ from earlier ones, warn of it, or also fail and make the model no "
        "champion; ignore does not compare them.",
    )
    keep_versions: NumberParameter[int] = NumberParameter(
        int,
        1,
        default=3,
        significant=False,
        description="Champions to keep for model servers, the current one among them.",
    )
    keep_runs: NumberParameter[int] = NumberParameter(
        int,
        0,
        default=0,
        significant=False,
        description="Runs of the dataset to keep; older ones are removed with all that only they need. 0 keeps all.",
    )

    def requires(self) -> list[luigi.Task]:
        """Nothing; locks the dataset and date, and waits where another run holds the lock."""
        tasks = super().requires()
        try:
            name = self.source().name
            lock = self.root.run_lock(name, self.date)
            waited = self.root.storage.lock_until_exit(lock, f"the run of {name} for {self.date}")
            # Luigi calls this again before the work begins, when this process holds the lock already.
            _waited[self.task_id] = waited or _waited.get(self.task_id, False)
        except (OSError, PipelineError):
            # `run` meets the same error and raises its sentence.
            pass
        return tasks

    def run(self) -> Iterator[luigi.Task]:
        """Prepare the backbone, take the snapshot, run the stages that they imply, and write the record."""
        with self.explain_errors():
            yield from self._run()

    def _run(self) -> Iterator[luigi.Task]:
        if _waited.get(self.task_id) and self.complete():
            return
        backbones, snapshot = self.prepare_backbones(), self.take_snapshot()
        # First, so that missing weights are reported now, and not after all photos are decoded.
        for backbone in backbones:  # noqa: UP028 (Luigi sends into the generator)
            yield backbone
        prepared = [backbone.prepared() for backbone in backbones]
        self.check_backbones([each.backbone for each in prepared])
        download = snapshot.requires()
        if download is not None:
            yield download
        yield snapshot
        stages = self.stage_tasks(prepared)
        folds = self.settings([each.backbone for each in prepared]).folds
        if folds and snapshot.manifest().details.get("given_splits"):
            from tasks.snapshot.splits import TENTHS, fold_tenths

            # Refused now, and not after all photos are embedded.
            fold_tenths(folds, TENTHS - 1)
        # One by one: a stage whose output was removed runs again, although later stages are complete.
        for name in [name for name in stages if name not in ("export", "champion", "serving", "report")]:
            yield stages[name]
        # A model below --min-accuracy is not exported.
        if self.refuses(stages["evaluate"].manifest()):
            stages = self.stage_tasks(prepared, export=False)
        for stage in stages.values():  # noqa: UP028 (as above)
            yield stage
        self._record({name: stage.manifest() for name, stage in stages.items()})
        self._check_verdict()

    def _record(self, stages: Mapping[str, Manifest]) -> None:
        """Write the record and the index page, and remove old runs."""
        publish_record(self.record_path(), self.about(), stages)
        from tasks.report.index import publish_index

        publish_index(self.root)
        if self.keep_runs:
            from tasks.runs.retention.collect import collect_after_run

            collect_after_run(self.root, self.keep_runs, self.record_path())

    def stage_tasks(self, prepared: Sequence[Prepared], *, export: bool = True) -> dict[str, StageTask]:
        """The stages by name, in the order in which they run; the snapshot must have been taken.

        Without `export` the model is not exported, even if `--export` asks for it.
        """
        snapshot = self.take_snapshot()
        report = WriteReport(
            context=self.snapshot_context(prepared, snapshot),
            settings=self.settings([each.backbone for each in prepared]),
            dataset=self.source().name,
            date=self.date,
            min_accuracy=self.min_accuracy,
            label_gate=self.label_gate == "true",
            on_drift=self.on_drift,
            baseline=find_baseline(self.root, self.source().name, self.date) if self.on_drift != "ignore" else "",
            export=export and self.export == "all",
            parameters={**self.parameters(), **_source_facts(snapshot.manifest())},
            given_splits=json.dumps(snapshot.manifest().details.get("given_splits"), sort_keys=True),
            record=str(self.record_path()),
            ignored=json.dumps(IgnoredSummary.from_details(snapshot.manifest().details).details(), sort_keys=True),
        )
        serving = ServeChampion(
            context=report.context, dataset=report.dataset, date=self.date, keep_versions=self.keep_versions
        )
        download, train = snapshot.requires(), report.evaluation().requires()
        stages: list[StageTask] = [
            *self.prepare_backbones(),
            *([] if download is None else [download]),
            snapshot,
            *train.before(),
            *report.drift(),
            train,
            report.evaluation(),
            *report.exports(),
            report.champion(),
            serving,
            report,
        ]
        return {stage.name: stage for stage in stages}

    def complete(self) -> bool:
        """Whether the run is recorded; never of a refused model or export, so that each try reports it again."""
        if not super().complete():
            return False
        record = read_record(self.record_path()) or {}
        return record.get("champion", {}).get("verdict") != "refused" and refused_export(record) is None

    def refuses(self, evaluation: Manifest) -> bool:
        """Whether a model is below --min-accuracy."""
        return bool(evaluation.details["test"]["accuracy"] < self.min_accuracy)

    def clean_up(self) -> None:
        """Finish what a killed run left undone, the index page too."""
        super().clean_up()
        index, record = self.root.index(), self.record_path()
        with suppress(OSError):
            if not index.exists() or index.stat().st_mtime_ns < record.stat().st_mtime_ns:
                from tasks.report.index import publish_index

                publish_index(self.root)

    def _check_verdict(self) -> None:
        """Refuse a model that is not good enough, and an export that disagrees with its model; the record is written.

        Raises:
            ModelError: The export is refused.
            ModelRejectedError: The model is worse than the champion, or below the accuracy that was asked for, or its
                new photos differ from earlier ones.
        """
        if error := self.rejection(read_record(self.record_path()) or {}):
            self.print_summary()
            raise error

    def rejection(self, record: Mapping[str, Any]) -> PipelineError | None:
        """The error of a recorded run whose model is rejected, or whose export disagrees with its model."""
        decision, refused = record["champion"], refused_export(record)
        if decision["verdict"] == "refused" or is_worse(decision):
            return ModelRejectedError(" ".join(filter(None, (not_good_enough(record), refused))))
        return ModelError(refused) if refused else None

    def figures(self, record: Mapping[str, Any]) -> list[str]:
        """The photos, the accuracy, the decision on the champion, the time and the report."""
        return figures(record)

    def summary(self, record: Mapping[str, Any], *, is_new: bool) -> list[str]:
        """The figures of the run, or that there was nothing to do."""
        return (summarise if is_new else summarise_nothing)(record, self.record_path(), self.dataset)

    def event_fields(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """The photos, the model and its figures."""
        names = ("head", "network", "photos", "rejected", "metrics", "report")
        own = {**{name: record[name] for name in names}, "new": new_photos(record)}
        verdict = record.get("champion", {}).get("verdict")
        return {**super().event_fields(record), **own, "verdict": verdict, "drift": find_changes(record)}


def _source_facts(snapshot: Manifest) -> dict[str, str]:
    """The parameters by which a run used the last snapshot, a table of labels or corrections, for its report."""
    unreached, table, corrections = (snapshot.details.get(name) for name in ("unreached", "label_table", "corrections"))
    return {
        **({"labels": "; ".join(describe_label_table(table))} if table else {}),
        **({"on_missing_source": f"use-last: {describe_fallback(unreached)}"} if unreached else {}),
        **({"corrections": f"{corrections['file']}: {describe_corrections(corrections)}"} if corrections else {}),
    }
