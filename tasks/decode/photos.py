"""Decodes the photos that the decoded store lacks."""

from collections.abc import Container, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tasks.concurrency import BackgroundWriter
from tasks.decode.images import MAX_PIXELS, Picture
from tasks.decode.photo_file import DecodeResult, Photo, decode_file
from tasks.decode.rejected_rows import read_rows, rejected_schema
from tasks.decode.rejections import MissingPhoto, Reason
from tasks.decode.repair import NONE_FLAWED, Flawed
from tasks.decode.settings import DecodeSettings
from tasks.decode.worker_pool import work_on_photos
from tasks.hardware import available_cores
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.shards.schemas import DECODE, describe
from tasks.shards.store import ShardStore
from tasks.snapshot.parquet.row_paths import reading_order
from tasks.snapshot.parquet.row_reader import are_rows
from tasks.storage.files import storage_at
from tasks.storage.layout import DataRoot

ROWS_PER_SHARD = 512
ROWS_PER_GROUP = 256


@dataclass(frozen=True)
class DecodeStores:
    """The two stores of some settings: of the pictures, and of the photos that cannot be decoded."""

    settings: DecodeSettings
    decoded: ShardStore
    rejected: ShardStore


@dataclass(frozen=True)
class DecodeCounts:
    """Counts of the photos of a run."""

    new: int = 0  #: Photos decoded by this run.
    reused: int = 0  #: Photos that had a picture before.
    rejected: int = 0  #: Photos rejected by this run.
    rejected_before: int = 0  #: Photos rejected by an earlier run and not tried again, or still too large.
    #: Photos in neither store, since their files could not be read or their processes were killed. The next run tries
    #: them again.
    skipped: tuple[MissingPhoto, ...] = ()
    flawed: Flawed = NONE_FLAWED  #: Photos decoded by this run despite damage to their files.

    def __add__(self, other: "DecodeCounts") -> "DecodeCounts":
        """Combine the photos of both."""
        return DecodeCounts(**{name: value + getattr(other, name) for name, value in vars(self).items()})


def open_stores(root: DataRoot, settings: DecodeSettings) -> DecodeStores:
    """Open the stores of these settings in the data root. They need not exist yet."""
    key, ingredients = settings.key, settings.ingredients()
    return DecodeStores(
        settings,
        ShardStore(root.decode(key), describe(DECODE, "decode", key, ingredients), ROWS_PER_GROUP),
        ShardStore(root.rejected(key), rejected_schema(settings), ROWS_PER_GROUP),
    )


def read_rejected(stores: DecodeStores, keys: pa.Array) -> pa.Table:
    """Read one row for each rejected photo; see `read_rows`. One that was too large and has a picture now has a row."""
    rows = [found.row for found in read_rows(stores.rejected, keys).values()]
    return pa.Table.from_pylist(rows, stores.rejected.schema)


def read_pictures(decoded: ShardStore, keys: Iterable[str]) -> dict[str, bytes]:
    """Read encoded pictures by key from a store of pictures, without those that it lacks.

    Raises:
        StoreError: A shard is damaged.
    """
    tables = decoded.rows(pa.array(sorted(keys), pa.string()), ["sha256", "image"])
    return {row["sha256"]: row["image"]["bytes"] for table in tables for row in table.to_pylist()}


def decode_photos(
    photos: pa.Table, folder: AnyPath, stores: DecodeStores, progress: Progress, max_pixels: int = MAX_PIXELS
) -> DecodeCounts:
    """Decode the photos that are in neither store, and retry those rejected as too large or by earlier rules.

    A shard is published every 512 rows while the processes go on, so a killed run loses two shards at most. Memory is
    bounded by these and by the pending batches, whatever the number of photos. Rows keep the order of the photos,
    or that of the rows of Parquet files.

    The photos have the columns `sha256` (unique) and `path`, and `bytes` if the folder of the paths is on an object
    store, or they are rows of Parquet files. Stored pictures stay, whatever their largest number of pixels was.
    Progress advances after each batch.

    Raises:
        MachineError: The worker processes do not start, or the object store does not answer.
        StoreError: A shard is damaged or of another version.
    """
    untried, others = find_untried(photos, stores)
    progress.start(untried.num_rows, "photos")
    return others + decode_untried(untried, folder, stores, progress, max_pixels)


def find_untried(photos: pa.Table, stores: DecodeStores) -> tuple[pa.Table, DecodeCounts]:
    """Find the photos to decode, see `decode_photos`, and count the others.

    The column `too_large` tells whether an earlier run rejected the photo as too large.
    """
    stores.decoded.sweep()
    stores.rejected.sweep()
    keys = photos.column("sha256").combine_chunks()
    decoded = stores.decoded.found(keys)
    left = photos.filter(pa.array(~decoded))
    rejected = read_rows(stores.rejected, left.column("sha256").combine_chunks())
    settled = pa.array([key for key, row in rejected.items() if row.is_settled], pa.string())
    left = left.filter(pc.invert(pc.is_in(left.column("sha256"), settled)))
    too_large = pa.array([key for key, row in rejected.items() if row.is_too_large], pa.string())
    left = left.append_column("too_large", pc.is_in(left.column("sha256"), too_large))
    return _in_reading_order(left), DecodeCounts(reused=int(decoded.sum()), rejected_before=len(settled))


def _in_reading_order(photos: pa.Table) -> pa.Table:
    """Sort photos that are rows of Parquet files in the order in which they are stored; others keep their order."""
    paths = photos.column("path").to_pylist()
    return (
        photos.take(sorted(range(len(paths)), key=lambda place: reading_order(paths[place])))
        if are_rows(paths)
        else photos
    )


def decode_untried(
    untried: pa.Table, folder: AnyPath, stores: DecodeStores, progress: Progress, max_pixels: int
) -> DecodeCounts:
    """Decode the photos of `find_untried` without reading the stores."""
    # The sizes of photos that are copied first limit how many are.
    is_copied = storage_at(folder).reads_are_requests or are_rows(untried.column("path").slice(0, 1).to_pylist())
    columns = ["sha256", "path", *(["bytes"] if is_copied else [])]
    photos = list(map(Photo, *(untried.column(name).to_pylist() for name in columns)))
    too_large = set(untried.filter(untried.column("too_large")).column("sha256").to_pylist())
    work = partial(decode_file, settings=stores.settings, max_pixels=max_pixels)
    with BackgroundWriter() as behind:
        writer = _Writer(stores, too_large, behind)
        with closing(work_on_photos(work, photos, folder, available_cores())) as batches:
            for batch in batches:
                for decoded in batch:
                    writer.add(decoded)
                progress.advance(len(batch))
        writer.decoded.publish()
        writer.rejected.publish()
        behind.wait()
    return DecodeCounts(
        new=writer.decoded.total,
        rejected=writer.rejected.total,
        rejected_before=writer.still_too_large,
        skipped=tuple(writer.skipped),
        flawed=writer.flawed,
    )


@dataclass
class _Rows:
    """The rows of a store's next shard, and the number of rows of all shards."""

    store: ShardStore
    behind: BackgroundWriter
    pending: list[dict[str, Any]] = field(default_factory=list)
    total: int = 0

    def add(self, row: dict[str, Any]) -> None:
        self.pending.append(row)
        self.total += 1
        if len(self.pending) == ROWS_PER_SHARD:
            self.publish()

    def publish(self) -> None:
        if rows := self.pending:
            self.behind.do(lambda: self.store.append(pa.Table.from_pylist(rows, self.store.schema)))
            self.pending = []


class _Writer:
    """Writes results to the stores; a background thread publishes the shards.

    One shard at most waits for the disk, so a slow disk slows the processes down. Photos whose keys are in `too_large`
    have a row in the rejected store already.
    """

    def __init__(self, stores: DecodeStores, too_large: Container[str], behind: BackgroundWriter) -> None:
        self.decoded, self.rejected = _Rows(stores.decoded, behind), _Rows(stores.rejected, behind)
        self.skipped: list[MissingPhoto] = []
        self.still_too_large = 0
        self.flawed = NONE_FLAWED
        self._too_large = too_large
        self._encoding = stores.settings.encoding

    def add(self, decoded: DecodeResult) -> None:
        (sha256, path, _), result = decoded.photo, decoded.result
        if isinstance(result, Picture):
            row = {name: getattr(result, name) for name in ("width", "height", "format", "mode")}
            row |= {"sha256": sha256, "image": {"bytes": result.image, "path": f"{sha256}.{self._encoding}"}}
            self.decoded.add(row)
            if result.flaws:
                self.flawed += Flawed.of(path, result.flaws)
        elif result.reason is Reason.TOO_LARGE and sha256 in self._too_large:
            self.still_too_large += 1
        elif result.reason.about_bytes:
            self.rejected.add({"sha256": sha256, "path": path, **result._asdict()})
        else:
            self.skipped.append(MissingPhoto(path, *result))
