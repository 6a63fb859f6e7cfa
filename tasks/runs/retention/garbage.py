"""What goes: everything of ours below the data root that nothing kept refers to, in the order in which it may go."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch

from tasks.keys import KEY_LENGTH
from tasks.paths import AnyPath
from tasks.runs.retention.live_set import Policy, find_kept
from tasks.runs.retention.live_shards import named_shards, needed_shards, shards_with
from tasks.runs.retention.predictions import unkept_predictions
from tasks.runs.retention.references import References, StoreNeed
from tasks.shards.quarantine import DAMAGED
from tasks.storage.layout import DataRoot
from tasks.storage.layout import manifest_path as place_of
from tasks.storage.survey import DiskUsage, Survey
from tasks.storage.tempfiles import TEMPORARY_PREFIX

_KEY = rf"[0-9a-f]{{{KEY_LENGTH}}}"
_DATE = r"\d{4}-\d\d-\d\d"
_DATASET = r"[\w-]+"
#: What else lies in a data root: the committed pages of the project's own, and what every run writes anew.
_TOP = ("README.md", "catalog.toml", "index.html")
#: Stages of which all stays: weights and comparisons are dear, and hardly grow.
_LASTING = ("backbone", "compare")


@dataclass(frozen=True)
class Garbage:
    """A file or folder that goes.

    Args:
        stage: The stage that keeps it; "record" for records, "damaged" for what was set aside.
        path: It.
        footprint: What it takes on the disk.
    """

    stage: str
    path: AnyPath
    footprint: DiskUsage


@dataclass(frozen=True)
class Foreign:
    """Something below the data root that is not ours to judge, and is left alone.

    Args:
        path: It.
        why: What it is.
    """

    path: AnyPath
    why: str


@dataclass
class CollectionPlan:
    """What would go, and what is left alone.

    Args:
        kept: What stays.
        pieces: What goes, in the order in which it may go: killed anywhere, what is left lacks nothing that it names.
        left: What is left alone.
        stores: Folders of stores that stay, and lose shards or manifests at most.
        records: The records that stay.
    """

    kept: References
    pieces: list[Garbage] = field(default_factory=list)
    left: list[Foreign] = field(default_factory=list)
    stores: list[AnyPath] = field(default_factory=list)
    records: list[AnyPath] = field(default_factory=list)

    @property
    def footprint(self) -> DiskUsage:
        """What goes, all together."""
        return sum((piece.footprint for piece in self.pieces), DiskUsage(0, 0))


def plan_collection(root: DataRoot, policy: Policy) -> CollectionPlan:
    """Plan what goes and in which order, and change nothing.

    Raises:
        StoreError: A record, a comparison's record, or the file that names a champion cannot be read.
    """
    # A dataset that was extracted may have a million photos.
    there = root.storage.survey(root.path, apart=("download",))
    plan = CollectionPlan(find_kept(root, policy, there))
    walk = _Walk(root, plan, there, aside=policy.aside)
    walk.top()
    walk.records()
    walk.results()
    walk.stores("decode", root.decode)
    walk.stores("bottleneck", root.bottleneck)
    walk.statistics()
    walk.snapshots()
    walk.downloads()
    walk.lasting()
    return plan


class _Walk:
    """Walks through the stages of a data root and sorts what it finds."""

    def __init__(self, root: DataRoot, plan: CollectionPlan, there: Survey, *, aside: bool) -> None:
        self._root, self._plan, self._there, self._aside = root, plan, there, aside

    def top(self) -> None:
        """Name what lies beside the stages."""
        stages = ("bottleneck", "champion", "decode", "download", "evaluate", "predict", "report", "runs", "snapshot")
        ours = (*_TOP, *_LASTING, *stages, "statistics", "train")
        for path in self._entries(self._root.path):
            if path.name not in ours:
                self._leave(path, "unknown")

    def records(self) -> None:
        """Records first: without them nothing that they name is looked for."""
        for folder in self._keyed(self._root.runs("x").parent, _DATASET):
            for path in self._known(folder, rf"{_DATE}-[0-9a-f]{{8}}\.json|\.{_DATE}\.lock"):
                if path in self._plan.kept.paths:
                    self._plan.records.append(path)
                elif path.suffix == ".json":
                    self._condemn("record", path)

    def results(self) -> None:
        """Reports before decisions before evaluations before models, each of which stands on the next."""
        root = self._root
        for path in self._keyed(root.report("x").parent):
            self._judge("report", path)
        for path in self._known(root.champion("x").parent, rf"{_DATASET}(\.json)?"):
            for decision in self._known(path, rf"{_KEY}\.json") if self._there.is_folder(path) else ():
                self._judge("champion", decision)
        predicted = list(self._keyed(root.predict("x").parent))
        for path in unkept_predictions(predicted, self._plan.kept.models, self._there):
            self._condemn("predict", path)
        for stage, place in (("evaluate", root.evaluate), ("train", root.train)):
            for path in self._keyed(place("x").parent):
                self._judge(stage, path)

    def stores(self, stage: str, place: Callable[[str], AnyPath]) -> None:
        """Manifests before the shards that they name; whole stores where nothing of them is kept."""
        kept = self._plan.kept
        for store in self._keyed(place("x").parent):
            snapshots = {need.snapshot for need in kept.manifests | kept.rows if need.store == store}
            named = named_shards(store, kept, self._there)
            needed = needed_shards(self._shards(store), named.shards, self._root, named.unnamed)
            if stage == "decode":
                needed |= shards_with(self._shards(store / "rejected"), self._root, snapshots)
            if needed or any(self._there.is_file(place_of(store, snapshot)) for snapshot in snapshots):
                self._plan.stores += filter(self._there.is_folder, (store, store / "rejected"))
                self._parts(stage, store, needed)
            else:
                self._condemn(stage, store)

    def _shards(self, folder: AnyPath) -> list[AnyPath]:
        return [path for path in self._there.entries(folder) if fnmatch(path.name, "part-*.parquet")]

    def _parts(self, stage: str, store: AnyPath, needed: set[AnyPath]) -> None:
        for path in self._known(store / "manifests", rf"{_KEY}\.json"):
            # Where rows alone are kept, a manifest could name shards that are not.
            if StoreNeed(store, path.stem) not in self._plan.kept.manifests:
                self._condemn(stage, path)
        ours = rf"part-{_KEY}\.parquet|int8-{_KEY}\.tflite|openvino-{_KEY}\.zip|manifests|rejected"
        for folder in (store, store / "rejected"):
            for path in self._known(folder, ours):
                if path.suffix == ".parquet" and path not in needed:
                    self._condemn(stage, path)

    def statistics(self) -> None:
        """Those of datasets of which no night stays; of the others the train stage keeps the newest alone."""
        snapshots = self._root.snapshots("x").parent
        datasets = {path.parent.name for path in self._plan.kept.paths if path.parent.parent == snapshots}
        for folder in self._keyed(self._root.statistics("x").parent, _DATASET):
            if folder.name not in datasets:
                self._condemn("statistics", folder)

    def snapshots(self) -> None:
        """The dates before the snapshots that they name."""
        parent = self._root.snapshots("x").parent
        found = list(self._known(parent, rf"{_DATASET}|{_KEY}\.parquet"))
        for folder in found:
            for path in self._known(folder, rf"{_DATE}\.json|hashes\.parquet") if self._there.is_folder(folder) else ():
                if path.suffix == ".json":
                    self._judge("snapshot", path)
        for path in found:
            if path.suffix == ".parquet":
                self._judge("snapshot", path)

    def downloads(self) -> None:
        """What archives were extracted to, after the manifests that name it; the archives themselves stay."""
        for folder in self._keyed(self._root.downloads("x").parent, _DATASET):
            for path in sorted(self._entries(folder), key=lambda path: path.suffix != ".json"):
                if re.fullmatch(rf"{_KEY}|{_DATE}\.json", path.name):
                    self._judge("download", path)

    def lasting(self) -> None:
        """What was set aside among what stays."""
        for name in _LASTING:
            for path in self._there.named(self._root.path / name, DAMAGED):
                self._set_aside(path)

    def _keyed(self, parent: AnyPath, pattern: str = _KEY) -> Iterator[AnyPath]:
        """The folders of a stage that are named as the stage names them."""
        for path in self._known(parent, pattern):
            if self._there.is_folder(path):
                yield path
            else:
                self._leave(path, "unknown")

    def _known(self, folder: AnyPath, pattern: str) -> Iterator[AnyPath]:
        """What is in a folder and is named as a stage names it; the rest is left alone."""
        for path in self._entries(folder):
            if re.fullmatch(pattern, path.name):
                yield path
            else:
                self._leave(path, "unknown")

    def _entries(self, folder: AnyPath) -> Iterator[AnyPath]:
        """What is in a folder, without leftovers; what lies behind a link is left alone."""
        if self._there.is_link(folder) and folder != self._root.path:
            return
        for path in self._there.entries(folder):
            if self._there.is_link(path):
                self._leave(path, "a link")
            elif path.name == DAMAGED and folder != self._root.path:
                self._set_aside(path)
            elif not path.name.startswith(TEMPORARY_PREFIX):
                yield path

    def _judge(self, stage: str, path: AnyPath) -> None:
        if path not in self._plan.kept.paths:
            self._condemn(stage, path)
        elif stage != "download":
            for aside in self._there.named(path, DAMAGED):
                self._set_aside(aside)

    def _set_aside(self, path: AnyPath) -> None:
        if self._aside:
            self._condemn("damaged", path)

    def _condemn(self, stage: str, path: AnyPath) -> None:
        if self._plan.kept.given_in(path) is not None:
            self._leave(path, "given to a run")
        else:
            self._plan.pieces.append(Garbage(stage, path, self._there.measure(path)))

    def _leave(self, path: AnyPath, why: str) -> None:
        self._plan.left.append(Foreign(path, why))
