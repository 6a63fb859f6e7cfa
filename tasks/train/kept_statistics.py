"""Statistics of a dataset's bottlenecks on disk: a folder with a file for each tenth, and the photos that are in them.

Only the newest statistics of a dataset are kept. Tonight's are made of those of the night before: the photos that are
new are added, those that are gone are subtracted, and one with another label moves from one sum to another.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.keys import fingerprint
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.shards.parquet import read_parquet, write_parquet
from tasks.shards.schemas import describe
from tasks.snapshot.splits import TENTHS
from tasks.storage.errors import DamagedError
from tasks.storage.files import is_there, listed, local, publish_folder, storage_at
from tasks.train.features import Features
from tasks.train.photos import EmbeddedPhotos
from tasks.train.statistics import Labels, Statistics

#: Raised when the same photos give other statistics.
CODE_VERSION = 1
#: Bytes of products that are held at once while they are summed up.
MOST_PRODUCTS = 1_500_000_000
#: The photos that are in the statistics.
PHOTOS = pa.schema(
    [
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("tenth", pa.int8(), nullable=False),
    ]
)
_PHOTOS_FILE = "photos.parquet"


class _Change(NamedTuple):
    """Photos that statistics are to gain or to lose.

    Args:
        sign: 1 to gain them, -1 to lose them.
        features: Their bottlenecks.
        labels: int64 [N], each a place in the list of labels.
        tenths: int8 [N].
    """

    sign: int
    features: Features
    labels: Labels
    tenths: npt.NDArray[np.int8]


class _Before(NamedTuple):
    """Statistics that are there already: their folder, its photos, and its labels."""

    folder: AnyPath
    photos: pa.Table
    labels: tuple[str, ...]


def bring_up_to_date(folder: AnyPath, photos: EmbeddedPhotos, progress: Progress) -> AnyPath:
    """Make the statistics of photos, from those that are there where that is less work, and remove the others.

    Args:
        folder: Of a dataset's statistics; only one process at a time may be at it.
        photos: The photos.
        progress: Told of every photo that is added or subtracted.

    Returns:
        The folder of the photos' statistics; `read_tenth` reads it.

    Raises:
        StoreError: A shard is damaged or gone, or the statistics that are there are damaged.
        BackboneError: The numbers are too large to be summed up exactly.
    """
    bottlenecks = [each.key for each in photos.features.settings.bottlenecks]
    wanted = _tabulate(photos)
    listing = fingerprint({name: wanted[name].to_pylist() for name in wanted.column_names})
    key = fingerprint({"bottlenecks": bottlenecks, "photos": listing, "code_version": CODE_VERSION})
    path = folder / key
    if not is_there(path):
        before = _find(folder, bottlenecks)
        labels = tuple(sorted({*photos.labels, *(before.labels if before else ())}))
        changes = _changes(before, wanted, photos, labels) if before else None
        if before is None or changes is None:
            before, labels = None, photos.labels
            changes = [_Change(1, photos.features, photos.truth, photos.splits.tenths)]
        facts = {"bottlenecks": bottlenecks, "labels": list(photos.labels)}
        with publish_folder(path, progress) as temporary:
            _write_tenths(temporary, before, changes, (labels, photos.labels), progress)
            schema = describe(PHOTOS, "statistics", key, facts)
            write_parquet(temporary / _PHOTOS_FILE, [wanted], schema, 65536)
    for other in listed(folder):
        if other.name != key and not other.name.startswith("."):
            storage_at(other).discard(other)
    return path


def read_tenth(folder: Path, tenth: int, labels: Sequence[str], into: Statistics, sign: int = 1) -> None:
    """Add the statistics of a tenth to others, or subtract them.

    Args:
        folder: As `bring_up_to_date` returned it.
        tenth: Which.
        labels: The labels of the others, in their order; it has no rows of any further label.
        into: The others; changed in place.
        sign: 1 adds, -1 subtracts.

    Raises:
        DamagedError: The file is damaged.
    """
    path = folder / f"tenth-{tenth}.npz"
    with _reading(path), path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        own = [labels.index(label) for label in arrays["labels"].tolist()]
        into.counts[own] += sign * arrays["counts"]
        into.sums[own] += sign * arrays["sums"]
        change = np.add if sign > 0 else np.subtract
        packed, start = arrays["products"], 0
        for column in range(len(into.products)):
            stop = start + len(into.products) - column
            own_column = into.products[column:, column]
            change(own_column, packed[start:stop], out=own_column)
            start = stop


def _write_tenth(folder: Path, tenth: int, labels: Sequence[str], found: Statistics) -> None:
    """Write the statistics of a tenth; of the products, the lower triangle, column by column."""
    found.check()
    packed = np.concatenate([found.products[column:, column] for column in range(len(found.products))])
    with (folder / f"tenth-{tenth}.npz").open("wb") as file:
        np.savez(file, labels=np.array(labels), counts=found.counts, sums=found.sums, products=packed)


def _write_tenths(
    folder: Path,
    before: _Before | None,
    changes: Sequence[_Change],
    labels: tuple[tuple[str, ...], tuple[str, ...]],
    progress: Progress,
) -> None:
    """Sum up all tenths and write them, as many at once as memory holds.

    Args:
        folder: Where to.
        before: What is there already; None begins with nothing.
        changes: What to add and to subtract, its labels as places in the former list of labels.
        labels: The labels of before and now together, and those of now.
        progress: Told of every photo.
    """
    every, now = labels
    width = changes[0].features.shape[2]
    own = [every.index(label) for label in now]
    at_once, scratch = max(1, MOST_PRODUCTS // (8 * width**2)), np.zeros(width**2, np.float32)
    progress.start(sum(len(change.labels) for change in changes), "photo")
    for first in range(0, TENTHS, at_once):
        tenths = range(first, min(first + at_once, TENTHS))
        found = {tenth: Statistics.none(len(every), width, scratch) for tenth in tenths}
        for tenth, statistics in found.items():
            if before is not None:
                read_tenth(local(before.folder), tenth, every, statistics)
        for change in changes:
            _apply(change, found, progress)
        for tenth, statistics in found.items():
            kept = replace(statistics, counts=statistics.counts[own], sums=statistics.sums[own])
            _write_tenth(folder, tenth, now, kept)


def _apply(change: _Change, found: Mapping[int, Statistics], progress: Progress) -> None:
    """Add the photos of some tenths to their statistics, or subtract them."""
    for places, numbers in change.features.blocks(np.isin(change.tenths, list(found))):
        for tenth in np.unique(change.tenths[places]).tolist():
            here = change.tenths[places] == tenth
            found[tenth].add(numbers[here], change.labels[places[here]], change.sign)
        progress.advance(len(places))


def _tabulate(photos: EmbeddedPhotos) -> pa.Table:
    names = np.array(photos.labels, dtype=object)[photos.truth]
    return pa.table([photos.sha256, names, photos.splits.tenths], schema=PHOTOS)


def _find(folder: AnyPath, bottlenecks: list[str]) -> _Before | None:
    """Find statistics of the same bottlenecks; None where there are none."""
    for path in listed(folder):
        file = path / _PHOTOS_FILE
        if not is_there(path) or not file.exists():
            continue
        with _reading(file):
            table = read_parquet(file)
            facts = json.loads(table.schema.metadata[b"settings"])
            if facts["bottlenecks"] == bottlenecks:
                return _Before(path, table, tuple(facts["labels"]))
    return None


def _changes(
    before: _Before, wanted: pa.Table, photos: EmbeddedPhotos, labels: tuple[str, ...]
) -> list[_Change] | None:
    """What the statistics of before gain and lose; None where that is more work than to begin with nothing."""
    gained, lost = _differing(wanted, before.photos), before.photos.filter(_differing(before.photos, wanted))
    if int(pc.sum(gained).as_py() or 0) + lost.num_rows >= wanted.num_rows:
        return None
    place = {label: index for index, label in enumerate(labels)}
    changes = []
    for sign, table in ((1, wanted.filter(gained)), (-1, lost)):
        features = photos.features.of(table["sha256"].combine_chunks())
        if not features.there.all():
            # Bottlenecks of a photo that is gone are gone too.
            return None
        names = table["label"].to_pylist()
        codes = np.array([place[name] for name in names], np.int64)
        changes.append(_Change(sign, features, codes, table["tenth"].to_numpy()))
    return changes


def _differing(these: pa.Table, others: pa.Table) -> pa.ChunkedArray:
    """Which rows of a table have no equal among others: bool [N]."""
    others = others.combine_chunks()
    places = pc.index_in(these["sha256"], value_set=others["sha256"].combine_chunks())
    same = [pc.equal(these[name], others[name].take(places)) for name in ("label", "tenth")]
    return pc.invert(pc.fill_null(pc.and_(*same), False))


@contextmanager
def _reading(path: AnyPath) -> Iterator[None]:
    """Name a file of statistics in an error.

    Raises:
        DamagedError: It is damaged.
    """
    try:
        yield
    except (pa.ArrowException, BadZipFile, EOFError, KeyError, OSError, TypeError, ValueError) as exc:
        sentences = f"{path} is damaged ({exc}). Delete the folder {path.parent}; the next run sums up all photos."
        raise DamagedError(path.parent, sentences) from exc
