"""Garbage: outputs that nothing live refers to, in the order in which they may be removed."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tasks.paths import AnyPath
from tasks.runs.retention.live_set import Policy, find_live
from tasks.runs.retention.references import References
from tasks.runs.stages import RECORD, REGISTRY
from tasks.shards.quarantine import DAMAGED
from tasks.stage_spec import StageSpec, patterns
from tasks.storage.layout import DataRoot
from tasks.storage.survey import DiskUsage, Survey
from tasks.storage.tempfiles import TEMPORARY_PREFIX

#: Files of the data root that belong to no stage.
_TOP = StageSpec("", permanent=("README.md", "catalog.toml", "index.html"))


@dataclass(frozen=True)
class Garbage:
    """A file or folder to remove."""

    stage: str  #: The stage that wrote it; "damaged" where it was set aside because it was damaged.
    path: AnyPath  #: File or folder to remove.
    footprint: DiskUsage  #: Disk usage.


@dataclass(frozen=True)
class SkippedPath:
    """A file or folder of the data root that no stage wrote, or that the user gave to a run."""

    path: AnyPath  #: File or folder that is left alone.
    why: str  #: The reason.


@dataclass
class CollectionPlan:
    """Files and folders to remove."""

    live: References  #: The outputs that stay.
    #: Garbage in the order of removal: killed anywhere, nothing that is left lacks an output that it names.
    pieces: list[Garbage] = field(default_factory=list)
    left: list[SkippedPath] = field(default_factory=list)  #: Files and folders that are left alone.
    #: Folders of stores that stay, and lose shards or manifests at most.
    stores: list[AnyPath] = field(default_factory=list)
    records: list[AnyPath] = field(default_factory=list)  #: The records that stay.

    @property
    def footprint(self) -> DiskUsage:
        """Disk usage of all garbage."""
        return sum((piece.footprint for piece in self.pieces), DiskUsage(0, 0))


def plan_collection(root: DataRoot, policy: Policy) -> CollectionPlan:
    """Find the garbage of a data root; removes nothing.

    Raises:
        StoreError: A record, a comparison's record, or a champion's file cannot be read.
    """
    there = root.storage.survey(root.path, apart=[spec.name for spec in REGISTRY if spec.opaque])
    plan = CollectionPlan(find_live(root, policy, there))
    _Sweep(root, plan, there, damaged=policy.damaged).run()
    return plan


@dataclass(frozen=True)
class _Output:
    """An output of a stage."""

    spec: StageSpec  #: The stage.
    parts: Sequence[str]  #: Regular expressions of the parts of its path.
    folder: bool  #: Whether it is a folder.
    order: int | None  #: Place in the order of removal; None where it is permanent.


def _outputs() -> list[_Output]:
    """All outputs, those of later stages first."""
    specs = [*reversed(REGISTRY), _TOP]
    removable = [(spec, output) for spec in specs for output in spec.outputs]
    permanent = [(spec, output) for spec in specs for output in spec.permanent]
    orders = [*range(len(removable)), *(None for _ in permanent)]
    return [
        _Output(spec, list(patterns(output)), output.endswith("/"), order)
        for order, (spec, output) in zip(orders, removable + permanent, strict=True)
    ]


class _Sweep:
    """Compares the content of a data root with the outputs of the stages."""

    def __init__(self, root: DataRoot, plan: CollectionPlan, there: Survey, *, damaged: bool) -> None:
        self._root, self._plan, self._there, self._damaged = root, plan, there, damaged
        self._ordered: list[tuple[int, Garbage]] = []

    def run(self) -> None:
        """Complete the plan."""
        plan, live = self._plan, self._plan.live
        self._visit(self._root.path, _outputs(), 0)
        plan.pieces = [piece for _, piece in sorted(self._ordered, key=lambda ordered: ordered[0])]
        folders = [folder for store in sorted(live.stores) for folder in (store, store / "rejected")]
        plan.stores = [folder for folder in folders if self._there.is_folder(folder)]

    def _visit(self, folder: AnyPath, outputs: Sequence[_Output], depth: int) -> None:
        """Sort the content of a folder, to which `depth` parts of the paths of these outputs lead."""
        live = self._plan.live
        for path in self._entries(folder):
            is_folder = self._there.is_folder(path)
            found = [output for output in outputs if re.fullmatch(output.parts[depth], path.name)]
            inside = [output for output in found if len(output.parts) > depth + 1] if is_folder else []
            whole = [output for output in found if len(output.parts) == depth + 1 and output.folder <= is_folder]
            if whole and (whole[0].order is None or path in live.paths):
                self._keep(path, whole[0])
            elif whole and path not in live.stores:
                self._remove(path, whole[0].spec.name, whole[0].order)
            elif inside:
                self._visit(path, inside, depth + 1)
            else:
                self._skip(path, "unknown")

    def _entries(self, folder: AnyPath) -> Iterator[AnyPath]:
        """The content of a folder but for temporary files; links are skipped, and damaged files are garbage."""
        top = folder == self._root.path
        if self._there.is_link(folder) and not top:
            return
        for path in self._there.entries(folder):
            if self._there.is_link(path):
                self._skip(path, "a link")
            elif path.name == DAMAGED and not top:
                self._remove_damaged(path)
            elif not path.name.startswith(TEMPORARY_PREFIX):
                yield path

    def _keep(self, path: AnyPath, output: _Output) -> None:
        if output.spec is RECORD and output.order is not None:
            self._plan.records.append(path)
        if output.folder and not output.spec.opaque:
            for damaged in self._there.named(path, DAMAGED):
                self._remove_damaged(damaged)

    def _remove_damaged(self, path: AnyPath) -> None:
        if self._damaged:
            self._remove(path, "damaged", None)

    def _remove(self, path: AnyPath, stage: str, order: int | None) -> None:
        if self._plan.live.user_files.inside(path) is not None:
            self._skip(path, "given to a run")
        else:
            self._ordered.append((order or 0, Garbage(stage, path, self._there.measure(path))))

    def _skip(self, path: AnyPath, why: str) -> None:
        self._plan.left.append(SkippedPath(path, why))
