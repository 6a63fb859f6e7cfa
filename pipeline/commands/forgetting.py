"""What there is to forget of a run, and what must not be."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.commands.stages import STAGES, Chain
from tasks.artifacts import DataRoot, read_json, read_manifest
from tasks.artifacts.removal import Footprint, check_removable, measure
from tasks.catalog import local_path
from tasks.errors import ModelError, StoreError

_NAMED = 3


@dataclass(frozen=True)
class Condemned:
    """A file or folder that would be removed.

    Args:
        stage: The stage that keeps it.
        path: It.
        footprint: What it takes on the disk.
        rows: Rows of its Parquet files; None where it has none.
        note: Who else uses it, or what else goes with it; may be empty.
    """

    stage: str
    path: Path
    footprint: Footprint
    rows: int | None
    note: str


def find_condemned(chain: Chain, stages: Sequence[str]) -> list[Condemned]:
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
    condemned = [
        _condemn(chain, stage, path)
        for stage in reversed(list(dict.fromkeys([*stages, STAGES[-1]])))
        for path in _own(chain, stage)
        if path.exists() or path.is_symlink()
    ]
    folders = {thing.path for thing in condemned}
    _check_champions(chain.root, condemned)
    # An export lies in the folder of its model, and goes with it.
    return [thing for thing in condemned if folders.isdisjoint(thing.path.parents)]


def _condemn(chain: Chain, stage: str, path: Path) -> Condemned:
    check_removable(path, chain.root)
    _check_not_given(chain, path)
    return Condemned(stage, path, measure(path), _rows(path), _note(chain, stage, path))


def _own(chain: Chain, stage: str) -> Iterator[Path]:
    """What a stage keeps, but for what is another date's or another model's."""
    for path in chain.places(stage):
        if chain.snapshot and path == chain.root.snapshot(chain.snapshot):
            own = not _dates(chain, chain.snapshot)
        else:
            own = path != chain.root.champion(chain.run.source().name) or chain.key("train") in _models(path)
        if own:
            yield path


def _dates(chain: Chain, snapshot: str) -> list[str]:
    """The datasets and dates, but for the run's own, whose snapshot has a key."""
    dates, apart = [], chain.run.take_snapshot().manifest_path()
    for path in sorted(chain.root.snapshots("x").parent.glob("*/*.json")):
        try:
            if path != apart and read_manifest(path).key == snapshot:
                dates.append(f"{path.parent.name} of {path.stem}")
        except (FileNotFoundError, StoreError):
            continue
    return dates


def _note(chain: Chain, stage: str, path: Path) -> str:
    """Say which other snapshots a store holds rows for, or which other wishes a backbone's folder is for."""
    if stage == "train":
        return "with its export" if (path / "export").exists() else ""
    own = chain.snapshot
    if stage in ("decode", "bottleneck"):
        others = [file.stem for file in sorted((path / "manifests").glob("*.json")) if file.stem != own]
        named = [_name(chain, key) for key in others]
    elif stage == "backbone":
        mine = chain.run.prepare_backbone().manifest_path()
        named = [file.stem for file in sorted(path.glob("*.json")) if file != mine]
    else:
        return ""
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return f"also used by {'; '.join(named[:_NAMED])}{more}" if named else ""


def _name(chain: Chain, snapshot: str) -> str:
    dates = _dates(chain, snapshot)
    return f"{snapshot} ({dates[-1]})" if dates else snapshot


def _rows(path: Path) -> int | None:
    files = [path] if path.suffix == ".parquet" else sorted(path.rglob("*.parquet"))
    rows = 0
    for file in files:
        try:
            rows += pq.read_metadata(file).num_rows
        except (pa.ArrowException, OSError):
            # A damaged file can be forgotten like any other.
            continue
    return rows if files else None


def _check_not_given(chain: Chain, path: Path) -> None:
    """Refuse to remove what the user gave: photos, a model or weights that lie inside a stage's folder."""
    source = chain.run.source()
    given = [local_path(text) for text in (source.location, chain.run.backbone, chain.run.weights)]
    for own in given:
        if own and own.resolve().is_relative_to(path.resolve()):
            raise StoreError(
                f"{path} holds {own}, which you gave to the run, so it is left alone. Move that elsewhere."
            )


def _models(state: Path) -> set[str]:
    """The keys that a file of `data/champion` names as champion."""
    try:
        values = read_json(state)
    except (OSError, StoreError):
        return set()
    return (
        {str(values[name]) for name in ("champion", "model") if values.get(name)} if isinstance(values, dict) else set()
    )


def _check_champions(root: DataRoot, condemned: Sequence[Condemned]) -> None:
    gone = {thing.path for thing in condemned}
    heads = {thing.path.name for thing in condemned if thing.stage == "train"}
    for state in sorted(root.champion("x").parent.glob("*.json")):
        for key in _models(state) & heads if state not in gone else ():
            raise ModelError(
                f"The model {key} is the champion of {state.stem}. Forget that first, with the parameters of its run: "
                "python -m pipeline forget champion."
            )
