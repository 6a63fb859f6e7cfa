"""RetrainFlowers: the nightly root task and its parameters."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import luigi

from pipeline.model_task import ModelTask
from pipeline.summary import is_worse, not_good_enough, refused_export, summarise, summarise_nothing
from tasks.backbone.backbones import Prepared
from tasks.download.source_fallback import tell_unreached
from tasks.errors import ModelError, ModelRejectedError, PipelineError
from tasks.parameters import ChoiceParameter, NumberParameter
from tasks.report.task import WriteReport
from tasks.runs.record_writer import publish_record
from tasks.runs.records import read_record
from tasks.shards.manifests import Manifest
from tasks.snapshot.ignored import IgnoredSummary
from tasks.stage import StageTask
from tasks.storage.locks import lock_until_exit

#: By task, whether another process was at the same night when this one began.
_waited: dict[str, bool] = {}


class RetrainFlowers(ModelTask):
    """Retrains the classifier of a dataset for a date: snapshot, decode, bottlenecks, head, evaluation, report."""

    min_accuracy: NumberParameter[float] = NumberParameter(
        float, 0, 1, default=0, description="Test accuracy below which a model is neither exported nor champion."
    )
    export: ChoiceParameter = ChoiceParameter(
        "all",
        "none",
        default="all",
        description="Whether the model is exported for other programs: as a SavedModel, for Keras, for LiteRT.",
    )
    keep_runs: NumberParameter[int] = NumberParameter(
        int,
        0,
        default=0,
        significant=False,
        description="Runs of the dataset to keep; older ones go, with all that no kept one needs. 0 keeps all.",
    )

    def requires(self) -> list[luigi.Task]:
        """Nothing but the night: where another run of the dataset and date is under way, wait until it has ended."""
        tasks = super().requires()
        try:
            name = self.source().name
            waited = lock_until_exit(self.root.run_lock(name, self.date), f"the run of {name} for {self.date}")
            # Luigi asks again when the work is about to begin, and then the night is ours already.
            _waited[self.task_id] = waited or _waited.get(self.task_id, False)
        except (OSError, PipelineError):
            # `run` meets the same error and shows its sentence.
            pass
        return tasks

    def run(self) -> Iterator[luigi.Task]:
        """Prepare the backbone and take the snapshot, then ask for all that they imply, then write the record."""
        with self.on_machine():
            yield from self._run()

    def _run(self) -> Iterator[luigi.Task]:
        if _waited.get(self.task_id) and self.complete():
            return
        backbones, snapshot = self.prepare_backbones(), self.take_snapshot()
        # First, so that weights that are not there are told of now, and not after all photos are decoded.
        for backbone in backbones:  # noqa: UP028 (as below: Luigi sends into the generator)
            yield backbone
        prepared = [backbone.prepared() for backbone in backbones]
        self.check_backbones([each.backbone for each in prepared])
        download = snapshot.requires()
        if download is not None:
            yield download
        yield snapshot
        stages = self.stage_tasks(prepared)
        # Each by itself: one that was forgotten is made again, although what stands on it is there.
        for name in [name for name in stages if name not in ("export", "champion", "report")]:
            yield stages[name]
        # The figures decide whether there is anything to export.
        if self.refuses(stages["evaluate"].manifest()):
            stages = self.stage_tasks(prepared, export=False)
        for stage in stages.values():  # noqa: UP028 (Luigi sends into the generator, which no iterator of a dict takes)
            yield stage
        self._record({name: stage.manifest() for name, stage in stages.items()})
        self._check_verdict()

    def _record(self, stages: Mapping[str, Manifest]) -> None:
        """Write the record and the page of all runs, and let old runs go."""
        publish_record(self.record_path(), self.about(), stages)
        from tasks.report.index import publish_index  # noqa: PLC0415 (not needed where nothing is to be done)

        publish_index(self.root)
        if self.keep_runs:
            from tasks.runs.retention.collect import collect_after_run  # noqa: PLC0415 (not needed where all runs stay)

            collect_after_run(self.root, self.keep_runs, self.record_path())

    def stage_tasks(self, prepared: Sequence[Prepared], *, export: bool = True) -> dict[str, StageTask]:
        """All stages by their names, in the order in which they run; the snapshot must have been taken.

        Args:
            prepared: The backbones.
            export: Whether the model may be exported, where `--export` asks for it.
        """
        snapshot = self.take_snapshot()
        report = WriteReport(
            **self.shared(prepared, snapshot),
            settings=self.settings([each.backbone for each in prepared]),
            dataset=self.source().name,
            date=self.date,
            min_accuracy=self.min_accuracy,
            export=export and self.export == "all",
            parameters={**self.parameters(), **_without_source(snapshot.manifest())},
            record=str(self.record_path()),
            ignored=json.dumps(IgnoredSummary.from_details(snapshot.manifest().details).details(), sort_keys=True),
        )
        download, train = snapshot.requires(), report.evaluation().requires()
        stages: list[StageTask] = [
            *self.prepare_backbones(),
            *([] if download is None else [download]),
            snapshot,
            *train.before(),
            train,
            report.evaluation(),
            *report.requires(),
            report,
        ]
        return {stage.name: stage for stage in stages}

    def complete(self) -> bool:
        """As every root task; a model or export that was refused stays refused, so that each try says so."""
        if not super().complete():
            return False
        record = read_record(self.record_path()) or {}
        return record.get("champion", {}).get("verdict") != "refused" and refused_export(record) is None

    def refuses(self, evaluation: Manifest) -> bool:
        """Whether a model is below the accuracy that was asked for."""
        return bool(evaluation.details["test"]["accuracy"] < self.min_accuracy)

    def tidy(self) -> None:
        """As every root task; and list the run, where it was killed before it could."""
        super().tidy()
        index, record = self.root.index(), self.record_path()
        with suppress(OSError):
            if not index.exists() or index.stat().st_mtime_ns < record.stat().st_mtime_ns:
                from tasks.report.index import publish_index  # noqa: PLC0415 (not needed where nothing is to be done)

                publish_index(self.root)

    def _check_verdict(self) -> None:
        """Refuse a model that is not good enough, and an export that disagrees with its model; the record is written.

        Raises:
            ModelError: The export is refused.
            ModelRejectedError: The model is worse than the champion, or below the accuracy that was asked for.
        """
        record = read_record(self.record_path()) or {}
        decision, refused = record["champion"], refused_export(record)
        if decision["verdict"] == "refused" or is_worse(decision):
            self.tell()
            raise ModelRejectedError(" ".join(filter(None, (not_good_enough(decision), refused))))
        if refused:
            self.tell()
            raise ModelError(refused)

    def told(self, record: Mapping[str, Any], *, anew: bool) -> list[str]:
        """What the run came to, or that there was nothing to do."""
        return (summarise if anew else summarise_nothing)(record, self.record_path(), self.dataset)

    def figures(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """The photos, the model, and what it is worth."""
        names = ("head", "network", "photos", "rejected", "metrics", "report")
        own = {name: record[name] for name in names}
        return {**super().figures(record), **own, "verdict": record.get("champion", {}).get("verdict")}


def _without_source(snapshot: Manifest) -> dict[str, str]:
    """The parameter that a run went on by without its source, for its report; empty where there was no need."""
    unreached = snapshot.details.get("unreached")
    return {"on_missing_source": f"use-last: {tell_unreached(unreached)}"} if unreached else {}
