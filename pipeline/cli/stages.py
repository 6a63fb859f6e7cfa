"""The stages of a run as the data root knows them: which there are, their keys, and what they keep where."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pipeline.retrain import RetrainFlowers
from tasks.backbone.backbones import Prepared
from tasks.bottleneck.settings import BottleneckSettings
from tasks.decode.settings import DecodeSettings
from tasks.errors import StoreError
from tasks.evaluate.settings import EvaluateSettings
from tasks.paths import AnyPath
from tasks.shards.manifests import Manifest, read_manifest
from tasks.snapshot.task import source_state
from tasks.stage import StageTask
from tasks.stage_names import kind_of, number_of, stage_name
from tasks.storage.files import listed, read_each
from tasks.storage.layout import DataRoot
from tasks.train.settings import TrainSettings

#: Every kind of stage, in the order in which they run; the last one is the run's record.
STAGES = (
    "backbone",
    "download",
    "snapshot",
    "decode",
    "bottleneck",
    "train",
    "evaluate",
    "export",
    "champion",
    "report",
    "record",
)
#: Those that keep a store, of which a run may have several.
STORES = ("decode", "bottleneck")


@dataclass(frozen=True, eq=False)
class KnownStages:
    """What is known of a run before it runs.

    Args:
        run: The run.
        prepared: Its backbones; none where they have not all been found or fetched.
        snapshot: Key of its snapshot; None where nobody can say without reading photos.
        taken: Whether the snapshot of its own date has that key; else that of another date on which the source looked
            the same.
        tasks: The tasks of its stages whose keys are known, by name.
    """

    run: RetrainFlowers
    prepared: Sequence[Prepared]
    snapshot: str | None
    taken: bool
    tasks: dict[str, StageTask]

    @property
    def root(self) -> DataRoot:
        """The data root."""
        return self.run.root

    @property
    def settings(self) -> EvaluateSettings | None:
        """The settings; None where the backbones are not known."""
        return self.run.settings([each.backbone for each in self.prepared]) if self.prepared else None

    def stages(self) -> tuple[str, ...]:
        """Names of the stages that the run has, in their order; where it is not known how many of a kind, one."""
        left_out = {
            "download": self.run.source().kind == "folder",
            "bottleneck": self.run.train == "finetune",
            "export": self.run.export != "all",
        }
        counts = {"backbone": len(self.run.backbones), **{kind: len(self._stores(kind)) for kind in STORES}}
        return tuple(
            stage_name(kind, number)
            for kind in STAGES
            if not left_out.get(kind)
            for number in range(1, 1 + max(1, counts.get(kind, 1)))
        )

    def key(self, stage: str) -> str | None:
        """Key of what a stage keeps; None where it is not known."""
        places = self.places(stage)
        match kind_of(stage):
            case "backbone" | "download":
                task = self.tasks[stage]
                return task.manifest().key if task.is_published() else None
            case "snapshot":
                return self.snapshot
            case "export":
                return places[0].parent.name if places else None
            case "champion" | "record":
                return places[0].stem if places else None
            case _:
                return places[0].name if places else None

    @cached_property
    def dates(self) -> Mapping[str, Sequence[AnyPath]]:
        """The files that say which snapshot was taken of a dataset for a date, by the snapshot's key."""
        folders = [path for path in listed(self.root.snapshots("x").parent) if path.suffix != ".parquet"]
        listings = read_each(lambda folder: listed(folder, "*.json"), folders, self.root.path)
        paths = [path for found in listings for path in found]
        dates: dict[str, list[AnyPath]] = {}
        for path, manifest in zip(paths, read_each(_readable, paths, self.root.path), strict=True):
            if manifest is not None:
                dates.setdefault(manifest.key, []).append(path)
        return dates

    def places(self, stage: str) -> tuple[AnyPath, ...]:
        """Files and folders that a stage keeps, first what says that it is done; empty where its key is not known."""
        kind, number = kind_of(stage), number_of(stage)
        if kind in STORES:
            return self._stores(kind)[number - 1 : number]
        if stage in self.tasks and kind not in ("backbone", "download", "snapshot", "champion"):
            try:
                return (self.tasks[stage].manifest_path().parent,)
            except FileNotFoundError:
                # The key of a report holds the decision on the champion, which is not made yet.
                return ()
        return self._of_source().get(stage, ())

    @property
    def decodes(self) -> tuple[DecodeSettings, ...]:
        """How photos become pictures, one for each decode stage; none where the backbones are not known."""
        return tuple(dict.fromkeys(self.settings.train.decodes)) if self.settings else ()

    @property
    def bottlenecks(self) -> tuple[BottleneckSettings, ...]:
        """One for each bottleneck stage; none where the backbones are not known, or a whole network is trained."""
        train = self.settings.train if self.settings else None
        return train.bottlenecks if isinstance(train, TrainSettings) else ()

    def _stores(self, kind: str) -> tuple[AnyPath, ...]:
        if kind == "decode":
            return tuple(self.root.decode(decode.key) for decode in self.decodes)
        return tuple(self.root.bottleneck(bottleneck.key) for bottleneck in self.bottlenecks)

    def _of_source(self) -> dict[str, tuple[AnyPath, ...]]:
        """Places of the stages that are named after the dataset, the date or the backbone."""
        root, name, snapshot = self.root, self.run.source().name, self.run.take_snapshot().manifest_path()
        table = (root.snapshot(self.snapshot),) if self.snapshot else ()
        champion = self.tasks.get("champion")
        return {
            **{task.name: (task.folder(),) for task in self.run.prepare_backbones()},
            "download": (root.downloads(name),),
            "snapshot": (snapshot, snapshot.with_name("hashes.parquet"), *table),
            "champion": (champion.manifest_path(), root.champion(name)) if champion else (),
            "record": (self.run.record_path(),),
        }


def known_chain(run: RetrainFlowers, *, as_it_was: bool = False) -> KnownStages:
    """Find out what is known of a run, without reading a photo.

    Args:
        run: The run.
        as_it_was: Whether a snapshot of the run's date is taken as it is; else today's counts only where the photos
            still look as they did.

    Raises:
        PipelineError: There is no such dataset, or the settings cannot be.
    """
    backbones, own = run.prepare_backbones(), run.take_snapshot()
    download = own.requires()
    tasks: dict[str, StageTask] = {task.name: task for task in (*backbones, *filter(None, [download]), own)}
    known = all(task.is_published() if as_it_was else task.complete() for task in backbones)
    prepared = [task.prepared() for task in backbones] if known else []
    if prepared:
        run.check_backbones([each.backbone for each in prepared])
    taken = own.is_published() if as_it_was else own.complete()
    like = run if taken else _same_source(run)
    snapshot = like.take_snapshot().manifest().key if like else None
    # Without the photos nobody can say where they are, which every further task is told.
    if prepared and like and (download is None or download.complete()):
        judged = _all_stages(like, prepared)
        if not taken:
            # They tell of their date, which has none yet.
            judged.pop("report")
        tasks = {**judged, **tasks}
    return KnownStages(run, prepared, snapshot, taken, tasks)


def _all_stages(run: RetrainFlowers, prepared: Sequence[Prepared]) -> dict[str, StageTask]:
    stages = run.stage_tasks(prepared)
    return run.stage_tasks(prepared, export=False) if is_refused(run, stages) else stages


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
    fetched, state = download.manifest().key if download else None, source_state(run.source())
    paths = listed(own.manifest_path().parent, "*.json")[::-1]
    for path, manifest in zip(paths, read_each(_readable, paths, run.root.path), strict=True):
        if manifest is None:
            continue
        try:
            like: RetrainFlowers = run.clone(date=dt.date.fromisoformat(path.stem))  # type: ignore[no-untyped-call]
            other = like.take_snapshot().requires()
            same = state and manifest.details["state"] == state
            # A URL looks alike always; what came from it need not.
            if same and (other is None or other.manifest().key == fetched):
                return like
        except (FileNotFoundError, KeyError, StoreError, ValueError):
            continue
    return None


def _readable(path: AnyPath) -> Manifest | None:
    try:
        return read_manifest(path)
    except (FileNotFoundError, StoreError):
        return None
