"""The stages of a run before it runs: which there are, their keys, and their outputs."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pipeline.retrain import RetrainFlowers
from tasks.backbone.backbones import Prepared
from tasks.backbone.spec import BACKBONE
from tasks.bottleneck.settings import BottleneckSettings
from tasks.decode.settings import DecodeSettings
from tasks.download.spec import DOWNLOAD
from tasks.errors import StoreError
from tasks.evaluate.settings import EvaluateSettings
from tasks.paths import AnyPath
from tasks.runs.stages import RECORD, RUN_STAGES, spec_of
from tasks.shards.manifests import find_manifest
from tasks.snapshot.spec import SNAPSHOT
from tasks.stage import StageTask
from tasks.stage_spec import fields_of, stage_name
from tasks.storage.files import listed, read_each
from tasks.storage.layout import DataRoot
from tasks.train.settings import TrainSettings


@dataclass(frozen=True, eq=False)
class KnownStages:
    """The stages of a run, as far as they are known before it runs."""

    run: RetrainFlowers
    prepared: Sequence[Prepared]  #: The backbones; empty where they have not all been found or fetched.
    snapshot: str | None  #: Key of the snapshot; None where it is not known without reading photos.
    taken: bool  #: Whether the run's own date has that snapshot; else another date on which the source looked the same.
    tasks: dict[str, StageTask]  #: The tasks of the stages whose keys are known, by name.

    @property
    def root(self) -> DataRoot:
        """The data root."""
        return self.run.root

    @property
    def settings(self) -> EvaluateSettings | None:
        """The settings; None where the backbones are not known."""
        return self.run.settings([each.backbone for each in self.prepared]) if self.prepared else None

    def stages(self) -> tuple[str, ...]:
        """Names of the run's stages, in their order; where it is not known how many of a kind there are, one."""
        parameters, local = self.run.parameters(), self.run.source().kind == "folder"
        needed = [(spec, spec.needs.items()) for spec in RUN_STAGES]
        specs = [spec for spec, needs in needed if all(parameters[name] in values for name, values in needs)]
        counts = {"backbone": len(self.run.backbones), "download": 0 if local else 1}
        counts |= {"decode": max(1, len(self.decodes)), "bottleneck": max(1, len(self.bottlenecks))}
        return tuple(
            stage_name(spec.name, number) for spec in specs for number in range(1, 1 + counts.get(spec.name, 1))
        )

    def key(self, stage: str) -> str | None:
        """Key of a stage; None where it is not known."""
        if stage == SNAPSHOT.name:
            return self.snapshot
        if stage == RECORD.name:
            return self.run.record_path().stem
        if stage in self.store_keys:
            return self.store_keys[stage]
        task = self.tasks.get(stage)
        try:
            key = spec_of(stage).key_in(task.manifest_path(), self.root) if task else None
        except FileNotFoundError:
            # The key of a report holds the decision on the champion, which is not made yet.
            return None
        return task.manifest().key if task and not key and task.is_published() else key

    @cached_property
    def dates(self) -> Mapping[str, Sequence[AnyPath]]:
        """The manifests of snapshots, one a dataset and date, by the snapshot's key."""
        folders = [path for path in listed(self.root.below(SNAPSHOT.name)) if path.suffix != ".parquet"]
        listings = read_each(lambda folder: listed(folder, "*.json"), folders, self.root.path)
        paths = [path for found in listings for path in found]
        dates: dict[str, list[AnyPath]] = {}
        for path, manifest in zip(paths, read_each(find_manifest, paths, self.root.path), strict=True):
            if manifest is not None:
                dates.setdefault(manifest.key, []).append(path)
        return dates

    def places(self, stage: str) -> tuple[AnyPath, ...]:
        """Outputs of a stage, first the one that says that it is done; empty where its key is not known."""
        spec, key = spec_of(stage), self.key(stage)
        if spec is RECORD:
            return (self.run.record_path(),)
        if spec in (BACKBONE, DOWNLOAD):
            return (self.tasks[stage].manifest_path().parent,)
        fields = {"key": key, "dataset": self.run.source().name, "date": f"{self.run.date}", "snapshot": self.snapshot}
        # A store is for all snapshots.
        given = {name: text for name, text in fields.items() if text and (name == "key" or not spec.store)}
        keyed = any("key" in fields_of(output) for output in spec.outputs)
        return tuple(spec.paths(self.root, permanent=True, **given)) if key or not keyed else ()

    @property
    def decodes(self) -> tuple[DecodeSettings, ...]:
        """Settings of the decode stages; empty where the backbones are not known."""
        return tuple(dict.fromkeys(self.settings.train.decodes)) if self.settings else ()

    @property
    def bottlenecks(self) -> tuple[BottleneckSettings, ...]:
        """Settings of the bottleneck stages; empty where the backbones are not known, or a network is fine-tuned."""
        train = self.settings.train if self.settings else None
        return train.bottlenecks if isinstance(train, TrainSettings) else ()

    @cached_property
    def store_keys(self) -> dict[str, str]:
        """Keys of the stores by stage, which do not depend on the snapshot."""
        decodes = {stage_name("decode", number): own.key for number, own in enumerate(self.decodes, 1)}
        return decodes | {stage_name("bottleneck", number): own.key for number, own in enumerate(self.bottlenecks, 1)}


def find_stages(run: RetrainFlowers, *, as_recorded: bool = False) -> KnownStages:
    """Find the stages of a run without reading a photo.

    As recorded, the snapshot is that of the run's date and the backbones are as they were; otherwise they are known
    only where the photos and the files of the backbones still look the same.

    Raises:
        PipelineError: There is no such dataset, or the settings are invalid.
    """
    backbones, own = run.prepare_backbones(), run.take_snapshot()
    download = own.requires()
    tasks: dict[str, StageTask] = {task.name: task for task in (*backbones, *filter(None, [download]), own)}
    known = all(task.is_published() if as_recorded else task.complete() for task in backbones)
    prepared = [task.prepared() for task in backbones] if known else []
    if prepared:
        run.check_backbones([each.backbone for each in prepared])
    taken = own.is_published() if as_recorded else own.complete()
    like = run if taken else _same_source(run)
    snapshot = like.take_snapshot().manifest().key if like else None
    # All further tasks have the folder of the photos as a parameter.
    if prepared and like and (download is None or download.complete()):
        later = like.stage_tasks(prepared)
        if is_refused(like, later):
            later = like.stage_tasks(prepared, export=False)
        if not taken:
            # The report of another date has another key.
            later.pop("report")
        tasks = {**later, **tasks}
    return KnownStages(run, prepared, snapshot, taken, tasks)


def is_refused(run: RetrainFlowers, stages: dict[str, StageTask]) -> bool:
    """Whether the model is known to be below the accuracy that was asked for; then it is not exported."""
    evaluate = stages.get("evaluate")
    if evaluate is None or not evaluate.is_published():
        return False
    return run.refuses(evaluate.manifest())


def _same_source(run: RetrainFlowers) -> RetrainFlowers | None:
    """The same run of the newest other date on which the photos looked as they do now; None where there is none."""
    own = run.take_snapshot()
    download = own.requires()
    if download is not None and not download.complete():
        return None
    fetched, state = download.manifest().key if download else None, own.source_state()
    paths = listed(own.manifest_path().parent, "*.json")[::-1]
    for path, manifest in zip(paths, read_each(find_manifest, paths, run.root.path), strict=True):
        if manifest is None:
            continue
        try:
            like: RetrainFlowers = run.clone(date=dt.date.fromisoformat(path.stem))
            other = like.take_snapshot().requires()
            same = state and manifest.details["state"] == state
            # A URL always looks the same; the file behind it may have changed.
            if same and (other is None or other.manifest().key == fetched):
                return like
        except (FileNotFoundError, KeyError, StoreError, ValueError):
            continue
    return None
