"""Cached statistics of a dataset's bottlenecks: a folder with a file for each tenth, and a list of the photos in them.

Only the newest statistics of a dataset are kept. A run updates those of the run before: it adds the new photos,
subtracts the deleted ones, and moves a photo whose label changed from one sum to another.
"""

import json
from collections.abc import Iterator, Sequence
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
#: Bytes of products that are in memory at once while they are summed up.
MAX_PRODUCTS = 1_500_000_000
PHOTOS = pa.schema(
    [
        pa.field(name, kind, nullable=False)
        for name, kind in (("sha256", pa.string()), ("label", pa.string()), ("tenth", pa.int8()))
    ]
)
_PHOTOS_FILE = "photos.parquet"


class _Cached(NamedTuple):
    """Cached statistics: their folder, their photos as a table of `PHOTOS`, and their labels in order."""

    folder: AnyPath
    photos: pa.Table
    labels: tuple[str, ...]


class _Change(NamedTuple):
    """Photos to add to statistics, with the sign 1, or to subtract, with -1; labels index `_Update.all_labels`."""

    sign: int
    features: Features
    labels: Labels
    tenths: npt.NDArray[np.int8]


class _Update(NamedTuple):
    """Update of cached statistics, or of those of no photos: `labels` are those after it, `all_labels` also before."""

    cached: _Cached | None
    all_labels: tuple[str, ...]
    labels: tuple[str, ...]
    changes: Sequence[_Change]


def update_cache(folder: AnyPath, photos: EmbeddedPhotos, progress: Progress) -> AnyPath:
    """Compute the statistics of photos, from the cached ones where that is less work, and remove all others.

    Args:
        folder: Folder of a dataset's statistics, which the caller has locked.
        photos: The photos.
        progress: Counts the photos that are added or subtracted.

    Returns:
        Folder of the photos' statistics, for `read_tenth`.

    Raises:
        StoreError: A shard is damaged or gone, or the cached statistics are damaged.
        BackboneError: The numbers are too large to be summed up exactly.
    """
    bottlenecks = [each.key for each in photos.features.settings.bottlenecks]
    names = np.array(photos.labels, dtype=object)[photos.truth]
    wanted = pa.table([photos.sha256, names, photos.splits.tenths], schema=PHOTOS)
    listing = fingerprint({name: wanted[name].to_pylist() for name in wanted.column_names})
    key = fingerprint({"bottlenecks": bottlenecks, "photos": listing, "code_version": CODE_VERSION})
    path = folder / key
    if not is_there(path):
        cached = _find(folder, bottlenecks)
        update = None if cached is None else _plan_update(cached, wanted, photos)
        if update is None:
            every = _Change(1, photos.features, photos.truth, photos.splits.tenths)
            update = _Update(None, photos.labels, photos.labels, [every])
        facts = {"bottlenecks": bottlenecks, "labels": list(photos.labels)}
        with publish_folder(path, progress) as temporary:
            _write_tenths(temporary, update, progress)
            schema = describe(PHOTOS, "statistics", key, facts)
            write_parquet(temporary / _PHOTOS_FILE, [wanted], schema, 65536)
    for other in listed(folder):
        if other.name != key and not other.name.startswith("."):
            storage_at(other).discard(other)
    return path


def read_tenth(folder: Path, tenth: int, labels: Sequence[str], total: Statistics, sign: int = 1) -> None:
    """Add the statistics of a tenth to a total, or subtract them.

    Args:
        folder: Folder that `update_cache` returned.
        tenth: Number of the tenth.
        labels: Labels of the total, in order; the tenth has no others.
        total: The total, which is changed.
        sign: 1 adds the statistics, -1 subtracts them.

    Raises:
        DamagedError: The file is damaged.
    """
    path = folder / f"tenth-{tenth}.npz"
    with _name_damage(path), path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        indices = [labels.index(label) for label in arrays["labels"].tolist()]
        total.counts[indices] += sign * arrays["counts"]
        total.sums[indices] += sign * arrays["sums"]
        change = np.add if sign > 0 else np.subtract
        packed, start = arrays["products"], 0
        for column in range(len(total.products)):
            lower = total.products[column:, column]
            change(lower, packed[start : start + len(lower)], out=lower)
            start += len(lower)


def _write_tenth(folder: Path, tenth: int, labels: Sequence[str], statistics: Statistics) -> None:
    """Write the statistics of a tenth; of the products, the lower triangle, column by column."""
    statistics.check()
    packed = np.concatenate([statistics.products[column:, column] for column in range(len(statistics.products))])
    with (folder / f"tenth-{tenth}.npz").open("wb") as file:
        np.savez(file, labels=np.array(labels), counts=statistics.counts, sums=statistics.sums, products=packed)


def _write_tenths(folder: Path, update: _Update, progress: Progress) -> None:
    """Update all tenths and write them, as many at once as memory holds."""
    width = update.changes[0].features.shape[2]
    kept = [update.all_labels.index(label) for label in update.labels]
    at_once = max(1, MAX_PRODUCTS // (8 * width**2))
    progress.start(sum(len(change.labels) for change in update.changes), "photo")
    for first in range(0, TENTHS, at_once):
        tenths = range(first, min(first + at_once, TENTHS))
        totals = {tenth: Statistics.empty(len(update.all_labels), width) for tenth in tenths}
        if update.cached is not None:
            for tenth, total in totals.items():
                read_tenth(local(update.cached.folder), tenth, update.all_labels, total)
        for change in update.changes:
            for indices, numbers in change.features.blocks(np.isin(change.tenths, tenths)):
                for tenth in np.unique(change.tenths[indices]).tolist():
                    inside = change.tenths[indices] == tenth
                    totals[tenth].add(numbers[inside], change.labels[indices[inside]], change.sign)
                progress.advance(len(indices))
        for tenth, total in totals.items():
            _write_tenth(folder, tenth, update.labels, replace(total, counts=total.counts[kept], sums=total.sums[kept]))


def _find(folder: AnyPath, bottlenecks: list[str]) -> _Cached | None:
    for path in listed(folder):
        file = path / _PHOTOS_FILE
        if not is_there(path) or not file.exists():
            continue
        with _name_damage(file):
            table = read_parquet(file)
            facts = json.loads(table.schema.metadata[b"settings"])
            if facts["bottlenecks"] == bottlenecks:
                return _Cached(path, table, tuple(facts["labels"]))
    return None


def _plan_update(cached: _Cached, wanted: pa.Table, photos: EmbeddedPhotos) -> _Update | None:
    """Plan the update of cached statistics; None where that is more work than to sum up all photos, or impossible."""
    gained = _missing_from(cached.photos, wanted)
    lost = cached.photos.filter(pa.array(_missing_from(wanted, cached.photos)))
    if int(gained.sum()) + lost.num_rows >= wanted.num_rows:
        return None
    features = photos.features.find_others(lost["sha256"].combine_chunks())
    if not features.complete.all():
        # Bottlenecks of a deleted photo are gone too.
        return None
    labels = tuple(sorted({*photos.labels, *cached.labels}))
    changes = []
    for sign, table, own in (
        (1, wanted.filter(pa.array(gained)), photos.features.filter(gained)),
        (-1, lost, features),
    ):
        codes = pc.index_in(table["label"], value_set=pa.array(labels)).to_numpy().astype(np.int64)
        changes.append(_Change(sign, own, codes, table["tenth"].to_numpy()))
    return _Update(cached, labels, photos.labels, changes)


def _missing_from(others: pa.Table, table: pa.Table) -> npt.NDArray[np.bool_]:
    """Select the rows of a table that have no equal among others: bool [N]."""
    others = others.combine_chunks()
    places = pc.index_in(table["sha256"], value_set=others["sha256"].combine_chunks())
    same = [pc.equal(table[name], others[name].take(places)) for name in ("label", "tenth")]
    missing: npt.NDArray[np.bool_] = pc.invert(pc.fill_null(pc.and_(*same), False)).to_numpy()
    return missing


@contextmanager
def _name_damage(path: AnyPath) -> Iterator[None]:
    """Raise DamagedError, which names a file of statistics, where the block fails as on a damaged file."""
    try:
        yield
    except (pa.ArrowException, BadZipFile, EOFError, KeyError, OSError, TypeError, ValueError) as exc:
        sentences = f"{path} is damaged ({exc}). Delete the folder {path.parent}; the next run sums up all photos."
        raise DamagedError(path.parent, sentences) from exc
