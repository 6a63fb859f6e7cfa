"""Plans the removal of a stage's outputs, and refuses to remove what must stay."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import pyarrow as pa

from pipeline.cli.stages import KnownStages
from tasks.backbone.spec import BACKBONE
from tasks.errors import ModelError, StoreError, first_of
from tasks.paths import AnyPath
from tasks.runs.retention.user_files import UserFiles
from tasks.runs.stages import RECORD, spec_of
from tasks.shards.parquet import open_parquet
from tasks.storage.files import is_folder, listed, read_each, read_json, storage_at
from tasks.storage.layout import DataRoot
from tasks.storage.removal import check_removable, measure
from tasks.storage.survey import DiskUsage

_NAMED = 3


@dataclass(frozen=True)
class Removal:
    """A file or folder that would be removed."""

    stage: str  #: The stage that wrote it.
    path: AnyPath  #: File or folder to remove.
    footprint: DiskUsage  #: Disk usage.
    rows: int | None  #: Rows of its Parquet files; None where it has none.
    note: str  #: Its other users, or what else is removed with it; may be empty.


def plan_removal(known: KnownStages, stages: Sequence[str]) -> list[Removal]:
    """Find the outputs of stages in the order of removal: those of later stages first.

    The first stage is the one that is asked for. The record is removed with any stage: it says that all stages are
    done, and with it a run would do nothing.

    Raises:
        StoreError: The outputs of the stage are not known, are not in the data root, or a process works in them.
        ModelError: The outputs hold the champion of a dataset.
    """
    if not known.places(stages[0]):
        raise StoreError(
            f"The outputs of the stage {stages[0]} for these parameters are not known: its key comes from a backbone "
            "and photos that are not there. Give the --date of a run that was made, or forget an earlier stage."
        )
    ordered = reversed(list(dict.fromkeys([*stages, RECORD.name])))
    own = [(stage, path) for stage in ordered for path in _own(known, stage)]
    removals = [removal for removal in read_each(partial(_check, known), own, known.root.path) if removal]
    folders = {removal.path for removal in removals}
    _check_champions(known.root, removals)
    # An export lies in the folder of its model, and is removed with it.
    return [removal for removal in removals if folders.isdisjoint(removal.path.parents)]


def _check(known: KnownStages, own: tuple[str, AnyPath]) -> Removal | None:
    """Check that an output of a stage may be removed; None where it is not there."""
    stage, path = own
    footprint = measure(path)
    # An empty folder of this machine is there too.
    if not footprint.files and not (known.root.storage.has_folders and path.is_dir()):
        return None
    check_removable(path, known.root)
    _check_not_given(known, path)
    return Removal(stage, path, footprint, _rows(path), _note(known, stage, path))


def _own(known: KnownStages, stage: str) -> Iterator[AnyPath]:
    """Outputs of a stage, but for those of another date or another model."""
    for path in known.places(stage):
        if known.snapshot and path == known.root.snapshot(known.snapshot):
            own = not _dates(known, known.snapshot)
        else:
            own = path != known.root.champion(known.run.source().name) or known.key("train") in _models(path)
        if own:
            yield path


def _dates(known: KnownStages, snapshot: str) -> list[str]:
    """The datasets and dates that have a snapshot, but for the run's own."""
    apart = known.run.take_snapshot().manifest_path()
    return [f"{path.parent.name} of {path.stem}" for path in known.dates.get(snapshot, ()) if path != apart]


def _note(known: KnownStages, stage: str, path: AnyPath) -> str:
    """Name the other snapshots that a store has rows for, or the other requests that a backbone's folder is for."""
    if stage == "train":
        return "with its export" if is_folder(path / "export") else ""
    spec = spec_of(stage)
    if spec.store:
        others = [file.stem for file in listed(path / "manifests", "*.json") if file.stem != known.snapshot]
        named = [_name(known, key) for key in others]
    elif spec is BACKBONE:
        mine = [task.manifest_path() for task in known.run.prepare_backbones()]
        named = [file.stem for file in listed(path, "*.json") if file not in mine]
    else:
        return ""
    return f"also used by {first_of(named, _NAMED)}" if named else ""


def _name(known: KnownStages, snapshot: str) -> str:
    dates = _dates(known, snapshot)
    return f"{snapshot} ({dates[-1]})" if dates else snapshot


def _rows(path: AnyPath) -> int | None:
    if path.suffix == ".parquet":
        return _rows_of(path)
    files = [path / file.path for file in storage_at(path).files_below(path) if file.path.endswith(".parquet")]
    return sum(read_each(_rows_of, files, path)) if files else None


def _rows_of(table: AnyPath) -> int:
    try:
        with open_parquet(table) as file:
            return int(file.metadata.num_rows)
    except (pa.ArrowException, OSError):
        # A damaged file can be forgotten like any other.
        return 0


def _check_not_given(known: KnownStages, path: AnyPath) -> None:
    """Refuse to remove photos, a model or weights of the user that lie inside a stage's folder."""
    files = UserFiles()
    files.add(known.run.source().location, {"backbone": known.run.backbone, "weights": known.run.weights})
    own = files.inside(path)
    if own is not None:
        raise StoreError(f"{path} holds {own}, which you gave to the run, so it is left alone. Move that elsewhere.")


def _models(state: AnyPath) -> set[str]:
    """The keys of the champions that a file of `data/champion` names."""
    try:
        values = read_json(state)
    except (OSError, StoreError):
        return set()
    return (
        {str(values[name]) for name in ("champion", "model") if values.get(name)} if isinstance(values, dict) else set()
    )


def _check_champions(root: DataRoot, removals: Sequence[Removal]) -> None:
    gone = {removal.path for removal in removals}
    heads = {removal.path.name for removal in removals if removal.stage == "train"}
    states = [state for state in listed(root.below("champion"), "*.json") if heads and state not in gone]
    for state, models in zip(states, read_each(_models, states, root.path), strict=True):
        for key in models & heads:
            raise ModelError(
                f"The model {key} is the champion of {state.stem}. Forget that first, with the parameters of its run: "
                "python -m pipeline forget champion."
            )
