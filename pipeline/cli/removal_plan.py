"""What there is to forget of a run, and what must not be."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import pyarrow as pa

from pipeline.cli.stages import STAGES, STORES, KnownStages
from tasks.errors import ModelError, StoreError
from tasks.paths import AnyPath
from tasks.runs.retention.references import References
from tasks.shards.parquet import open_parquet
from tasks.stage_names import kind_of
from tasks.storage.files import is_there, listed, read_each, read_json, storage_at
from tasks.storage.layout import DataRoot
from tasks.storage.removal import check_removable, measure
from tasks.storage.survey import DiskUsage

_NAMED = 3


@dataclass(frozen=True)
class Removal:
    """A file or folder that would be removed.

    Args:
        stage: The stage that keeps it.
        path: It.
        footprint: What it takes on the disk.
        rows: Rows of its Parquet files; None where it has none.
        note: Who else uses it, or what else goes with it; may be empty.
    """

    stage: str
    path: AnyPath
    footprint: DiskUsage
    rows: int | None
    note: str


def plan_removal(chain: KnownStages, stages: Sequence[str]) -> list[Removal]:
    """Find what stages keep, in the order in which it is to be removed: what stands on another thing goes first.

    The record goes along with any stage: it says that all of them are done, and with it a run would do nothing.

    Args:
        chain: The run.
        stages: The stage that is asked for, and those that go along.

    Raises:
        StoreError: Nobody knows what the stage keeps, it is not the data root's own, or a process works in it.
        ModelError: It holds the champion of a dataset.
    """
    if not chain.places(stages[0]):
        raise StoreError(
            f"What the stage {stages[0]} keeps for these parameters is not known: its key comes from a backbone and "
            "photos that are not there. Give the --date of a run that was made, or forget an earlier stage."
        )
    own = [
        (stage, path) for stage in reversed(list(dict.fromkeys([*stages, STAGES[-1]]))) for path in _own(chain, stage)
    ]
    condemned = [thing for thing in read_each(partial(_condemn, chain), own, chain.root.path) if thing]
    folders = {thing.path for thing in condemned}
    _check_champions(chain.root, condemned)
    # An export lies in the folder of its model, and goes with it.
    return [thing for thing in condemned if folders.isdisjoint(thing.path.parents)]


def _condemn(chain: KnownStages, own: tuple[str, AnyPath]) -> Removal | None:
    """Look what a stage keeps at a place; None where nothing is there."""
    stage, path = own
    footprint = measure(path)
    # An empty folder of this machine is there too.
    if not footprint.files and not (chain.root.storage.has_folders and path.is_dir()):
        return None
    check_removable(path, chain.root)
    _check_not_given(chain, path)
    return Removal(stage, path, footprint, _rows(path), _note(chain, stage, path))


def _own(chain: KnownStages, stage: str) -> Iterator[AnyPath]:
    """What a stage keeps, but for what is another date's or another model's."""
    for path in chain.places(stage):
        if chain.snapshot and path == chain.root.snapshot(chain.snapshot):
            own = not _dates(chain, chain.snapshot)
        else:
            own = path != chain.root.champion(chain.run.source().name) or chain.key("train") in _models(path)
        if own:
            yield path


def _dates(chain: KnownStages, snapshot: str) -> list[str]:
    """The datasets and dates, but for the run's own, whose snapshot has a key."""
    apart = chain.run.take_snapshot().manifest_path()
    return [f"{path.parent.name} of {path.stem}" for path in chain.dates.get(snapshot, ()) if path != apart]


def _note(chain: KnownStages, stage: str, path: AnyPath) -> str:
    """Say which other snapshots a store holds rows for, or which other wishes a backbone's folder is for."""
    if stage == "train":
        return "with its export" if is_there(path / "export") else ""
    own, kind = chain.snapshot, kind_of(stage)
    if kind in STORES:
        others = [file.stem for file in listed(path / "manifests", "*.json") if file.stem != own]
        named = [_name(chain, key) for key in others]
    elif kind == "backbone":
        mine = [task.manifest_path() for task in chain.run.prepare_backbones()]
        named = [file.stem for file in listed(path, "*.json") if file not in mine]
    else:
        return ""
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return f"also used by {'; '.join(named[:_NAMED])}{more}" if named else ""


def _name(chain: KnownStages, snapshot: str) -> str:
    dates = _dates(chain, snapshot)
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


def _check_not_given(chain: KnownStages, path: AnyPath) -> None:
    """Refuse to remove what the user gave: photos, a model or weights that lie inside a stage's folder."""
    given = References()
    given.add_given(chain.run.source().location, {"backbone": chain.run.backbone, "weights": chain.run.weights})
    own = given.given_in(path)
    if own is not None:
        raise StoreError(f"{path} holds {own}, which you gave to the run, so it is left alone. Move that elsewhere.")


def _models(state: AnyPath) -> set[str]:
    """The keys that a file of `data/champion` names as champion."""
    try:
        values = read_json(state)
    except (OSError, StoreError):
        return set()
    return (
        {str(values[name]) for name in ("champion", "model") if values.get(name)} if isinstance(values, dict) else set()
    )


def _check_champions(root: DataRoot, condemned: Sequence[Removal]) -> None:
    gone = {thing.path for thing in condemned}
    heads = {thing.path.name for thing in condemned if thing.stage == "train"}
    states = [state for state in listed(root.champion("x").parent, "*.json") if heads and state not in gone]
    for state, models in zip(states, read_each(_models, states, root.path), strict=True):
        for key in models & heads:
            raise ModelError(
                f"The model {key} is the champion of {state.stem}. Forget that first, with the parameters of its run: "
                "python -m pipeline forget champion."
            )
