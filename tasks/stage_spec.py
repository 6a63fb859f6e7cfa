"""Specifications of the stages, for the command line, for estimates and for garbage collection."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from string import Formatter
from typing import TypeVar

from tasks.keys import KEY_LENGTH
from tasks.paths import AnyPath
from tasks.storage.layout import DataRoot

PathT = TypeVar("PathT", bound=AnyPath)
StageT = TypeVar("StageT")

_KEY = rf"[0-9a-f]{{{KEY_LENGTH}}}"
#: The fields of an output's path, and what each matches.
_FIELDS = {
    "any": ".+",
    "dataset": r"[\w-]+",
    "date": r"\d{4}-\d\d-\d\d",
    "key": _KEY,
    "parameters": "[0-9a-f]{8}",
    "shard": _KEY,
    "snapshot": _KEY,
}


class Cost(StrEnum):
    """The quantity that the time of a stage grows with."""

    NEW_PHOTOS = "photos that are new to it"
    ALL_PHOTOS = "all photos of the run"
    FIXED = "hardly anything"


@dataclass(frozen=True, eq=False)
class StageSpec:
    """Describes a stage to garbage collection and to the command line.

    Outputs are paths below the data root; that of a folder ends with a slash. Their fields are `{key}` (key of the
    stage), `{snapshot}` (key of the snapshot), `{dataset}`, `{date}`, `{parameters}` (hash of the run's parameters),
    `{shard}` and `{any}`. A run keeps every output that its dataset, date, snapshot and stage keys fill.
    """

    name: str  #: Name of the stage in runs, in manifests and on the command line.
    #: Outputs that are removed once no run keeps them, in the order of removal: each before those that it refers to.
    outputs: tuple[str, ...] = ()
    permanent: tuple[str, ...] = ()  #: Outputs that garbage collection never removes.
    store: bool = False  #: Whether the stage keeps a store, whose shards have photos of many snapshots.
    opaque: bool = False  #: Whether the outputs hold files of the user, of which there may be very many.
    #: Values of the run's parameters, by name, without one of which a run has no such stage.
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    cost: Cost = Cost.FIXED  #: The quantity that the time of the stage grows with.
    action: str = ""  #: Verb for its work, such as "decode"; empty where it is no stage of `RetrainFlowers`.
    #: The word between the action and its photos, such as "of" in "compute bottlenecks of 4 new photos".
    preposition: str = "of"
    table: str = ""  #: Content of the stage's Parquet files.
    result: str = ""  #: Content of the stage's folder or manifest.

    def paths(self, root: DataRoot[PathT], *, permanent: bool = False, **fields: str) -> list[PathT]:
        """Paths of the outputs, on request also of the permanent ones, that need no other fields than these.

        Raises:
            StoreError: A value is no name of a file or folder.
        """
        outputs = self.outputs + (self.permanent if permanent else ())
        filled = (output for output in outputs if fields_of(output) <= fields.keys())
        return [root.below(*(part.format(**fields) for part in _parts(output))) for output in filled]

    def key_in(self, path: AnyPath, root: DataRoot) -> str | None:
        """The stage's key in the path of an output or of a file in it; None where no output's path has a key."""
        relative = str(path).removeprefix(str(root.path)).lstrip("/")
        keyed = ("/".join(patterns(output)) for output in self.outputs if "{key}" in output)
        found = (re.match(rf"{pattern}(/|$)", relative) for pattern in keyed)
        return next((match["key"] for match in found if match), None)


def fields_of(output: str) -> set[str]:
    """Names of the fields of an output's path."""
    return {field for _, field, _, _ in Formatter().parse(output) if field}


def patterns(output: str) -> Iterator[str]:
    """Regular expressions of the parts of an output's path, each field a named group."""
    for part in _parts(output):
        texts = Formatter().parse(part)
        yield "".join(
            re.escape(text) + (f"(?P<{field}>{_FIELDS[field]})" if field else "") for text, field, *_ in texts
        )


def _parts(output: str) -> list[str]:
    return output.removesuffix("/").split("/")


def stage_name(kind: str, number: int) -> str:
    """Name of a stage in its run by its kind and its number, from 1: `decode`, and `decode-2` for the second."""
    return kind if number == 1 else f"{kind}-{number}"


def kind_of(name: str) -> str:
    """The kind of a stage by its name in a run."""
    return name.partition("-")[0]


def number_of(name: str) -> int:
    """The number of a stage among those of its kind, from 1."""
    return int(name.partition("-")[2] or 1)


def of_kind(stages: Mapping[str, StageT], kind: str) -> list[StageT]:
    """The stages of a kind, of a run's stages by name, in their order."""
    return [stage for name, stage in stages.items() if kind_of(name) == kind]
