"""Photos that lie at several paths: conflicts under several labels, and duplicates under one."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from tasks.report.selection import MOST_SHOWN
from tasks.report.view_model import PhotoPath, RepeatedPhoto


class PhotoCopies(NamedTuple):
    """A photo and where it lies."""

    sha256: str
    places: list[PhotoPath]


class Repetitions(NamedTuple):
    """The photos of a snapshot that lie at several paths, each kind in the order of the first paths.

    Args:
        conflicts: Those that lie under several labels.
        duplicates: Those that lie several times under one label.
    """

    conflicts: Sequence[PhotoCopies]
    duplicates: Sequence[PhotoCopies]

    def shown(self) -> list[PhotoCopies]:
        """Those that are shown with a picture."""
        return [*self.conflicts[:MOST_SHOWN], *self.duplicates[:MOST_SHOWN]]


def find_repetitions(snapshot: pa.Table) -> Repetitions:
    """Find the photos that lie at several paths.

    Args:
        snapshot: A snapshot's table.
    """
    copies, paths = snapshot.column("duplicate_of"), snapshot.column("path")
    repeated = pc.or_(pc.is_valid(copies), pc.is_in(paths, copies.drop_null().unique()))
    return Repetitions(
        conflicts=_group(snapshot.filter(snapshot.column("conflict")), ("sha256",)),
        duplicates=_group(snapshot.filter(repeated), ("label", "sha256")),
    )


def show_repeated(groups: Sequence[PhotoCopies], pictures: Mapping[str, bytes]) -> list[RepeatedPhoto]:
    """Put the first photos together with their pictures, by key, and leave the others without."""
    return [
        RepeatedPhoto(group.places, pictures.get(group.sha256) if place < MOST_SHOWN else None)
        for place, group in enumerate(groups)
    ]


def _group(rows: pa.Table, same: Sequence[str]) -> list[PhotoCopies]:
    """Group photos that are the same in some columns, in the order of the rows."""
    groups = defaultdict(list)
    for row in rows.to_pylist():
        groups[(row["sha256"], *(row[name] for name in same))].append(PhotoPath(row["path"], row["label"]))
    return [PhotoCopies(key, places) for (key, *_), places in groups.items()]
