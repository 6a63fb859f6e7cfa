"""Brings the decoded store up to date with the photos that are wanted."""

from collections.abc import Container
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from tasks.concurrency import BackgroundWriter
from tasks.decode.images import MAX_PIXELS, Picture
from tasks.decode.prefetch import work_on_photos
from tasks.decode.rejected_rows import read_rows, rejected_schema
from tasks.decode.rejections import MissingPhoto, Reason
from tasks.decode.repair import NONE_FLAWED, Flawed
from tasks.decode.settings import DecodeSettings
from tasks.decode.workers import DecodeResult, Photo, decode_files
from tasks.hardware import available_cores
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.shards.schemas import DECODE, describe
from tasks.shards.store import ShardStore
from tasks.storage.files import storage_at
from tasks.storage.layout import DataRoot

ROWS_PER_SHARD = 512
ROWS_PER_GROUP = 256


@dataclass(frozen=True)
class DecodeStores:
    """The two stores of one way to decode; a photo that was tried has a row in one of them.

    Args:
        settings: The way to decode.
        decoded: The pictures.
        rejected: The photos of which no picture can be made.
    """

    settings: DecodeSettings
    decoded: ShardStore
    rejected: ShardStore


@dataclass(frozen=True)
class DecodeCounts:
    """What became of the photos that were wanted.

    Args:
        new: Photos decoded now.
        reused: Photos that had a picture before.
        rejected: Photos rejected now.
        rejected_before: Photos that had been rejected before: not tried again, or still too large.
        skipped: Photos that have a row in neither store, because of their file and not of its bytes. The run can go on
            without them; the next one tries them again.
        flawed: Photos decoded now although something is wrong with their files.
    """

    new: int
    reused: int
    rejected: int
    rejected_before: int
    skipped: tuple[MissingPhoto, ...]
    flawed: Flawed = NONE_FLAWED


@dataclass(frozen=True)
class Untried:
    """The photos that are to be tried, of those that are wanted.

    Args:
        photos: They, with the columns that `decode_photos` takes.
        too_large: Keys of those among them that were too large before, and have a row that says so.
        reused: How many others have a picture.
        settled: How many others are rejected for good.
    """

    photos: pa.Table
    too_large: frozenset[str]
    reused: int = 0
    settled: int = 0


def open_stores(root: DataRoot, settings: DecodeSettings) -> DecodeStores:
    """Find the stores of these settings below the data root; nothing needs to be there yet."""
    key, ingredients = settings.key, settings.ingredients()
    return DecodeStores(
        settings,
        ShardStore(root.decode(key), describe(DECODE, "decode", key, ingredients), ROWS_PER_GROUP),
        ShardStore(root.rejected(key), rejected_schema(settings), ROWS_PER_GROUP),
    )


def read_rejected(stores: DecodeStores, keys: pa.Array) -> pa.Table:
    """Why photos were rejected, one row each; of several the one that settles it.

    Args:
        stores: Where to look.
        keys: Of photos without a picture. Those that were too large, and were let in since, still have a row here.

    Raises:
        StoreError: A shard is damaged or of another version.
    """
    rows = [found.row for found in read_rows(stores.rejected, keys).values()]
    return pa.Table.from_pylist(rows, stores.rejected.schema)


def decode_photos(
    photos: pa.Table, folder: AnyPath, stores: DecodeStores, progress: Progress, max_pixels: int = MAX_PIXELS
) -> DecodeCounts:
    """Decode the wanted photos that have a row in neither store, and see whether those too large before still are.

    What was rejected by earlier rules is tried once more.

    A shard is published every 512 rows, while the processes go on, so that a run that is killed loses no more than two
    of them. Memory is bounded by those and by the batches in flight, whatever the number of photos. Rows are in the
    order of the photos.

    Args:
        photos: Those wanted, with the columns `sha256` (each once) and `path`, and `bytes` where the folder is on an
            object store.
        folder: What the paths are relative to.
        stores: Where the rows go.
        progress: Told of each photo that is tried.
        max_pixels: Pixels that a photo may have; a picture that is there stays, whatever the cap was then.

    Returns:
        What became of them.

    Raises:
        MachineError: The processes that decode do not start, or the photos' object store cannot be had.
        StoreError: A shard is damaged or of another version.
    """
    untried = find_untried(photos, stores)
    progress.start(untried.photos.num_rows, "photos")
    return decode_untried(untried, folder, stores, progress, max_pixels)


def find_untried(photos: pa.Table, stores: DecodeStores) -> Untried:
    """Look which of the wanted photos are to be tried; see `decode_photos`."""
    stores.decoded.sweep()
    stores.rejected.sweep()
    keys = photos.column("sha256").combine_chunks()
    decoded = stores.decoded.found(keys)
    left = photos.filter(pa.array(~decoded))
    rejected = read_rows(stores.rejected, left.column("sha256").combine_chunks())
    settled = pa.array([key for key, row in rejected.items() if row.is_settled], pa.string())
    left = left.filter(pc.invert(pc.is_in(left.column("sha256"), settled)))
    before = frozenset(key for key, row in rejected.items() if row.is_too_large)
    return Untried(left, before, int(decoded.sum()), len(settled))


def decode_untried(
    untried: Untried, folder: AnyPath, stores: DecodeStores, progress: Progress, max_pixels: int
) -> DecodeCounts:
    """Decode photos without a look at what is there; see `decode_photos`, but for those that are not to be tried."""
    told = ["sha256", "path", *(["bytes"] if storage_at(folder).reads_are_requests else [])]
    photos = list(map(Photo, *(untried.photos.column(name).to_pylist() for name in told)))
    work = partial(decode_files, settings=stores.settings, max_pixels=max_pixels)
    with (
        _Writer(stores, untried.too_large) as writer,
        closing(work_on_photos(work, photos, folder, available_cores())) as batches,
    ):
        for batch in batches:
            for tried in batch:
                writer.add(tried)
            progress.advance(len(batch))
    return DecodeCounts(
        new=writer.decoded.total,
        reused=untried.reused,
        rejected=writer.rejected.total,
        rejected_before=untried.settled + writer.still_too_large,
        skipped=tuple(writer.skipped),
        flawed=writer.flawed,
    )


@dataclass
class _Shards:
    """The rows that wait to be a store's next shard."""

    store: ShardStore
    rows: list[dict[str, Any]] = field(default_factory=list)
    total: int = 0

    def take(self) -> list[dict[str, Any]]:
        """Hand over the rows that wait."""
        rows, self.rows = self.rows, []
        return rows


class _Writer:
    """Puts what became of each photo where it belongs, and publishes shards in a thread of its own.

    No more than one shard waits for the disk: where that is slower than the processes, they wait too. Rows that make no
    full shard are published at the end, unless an exception ends the block.

    Args:
        stores: Where the rows go.
        before: The photos that have a row in the rejected store.
    """

    def __init__(self, stores: DecodeStores, before: Container[str]) -> None:
        self.decoded, self.rejected = _Shards(stores.decoded), _Shards(stores.rejected)
        self.skipped: list[MissingPhoto] = []
        self.still_too_large = 0
        self.flawed = NONE_FLAWED
        self._before = before
        self._encoding = stores.settings.encoding
        self._behind = BackgroundWriter()

    def add(self, tried: DecodeResult) -> None:
        (sha256, path, _), result = tried.photo, tried.result
        if isinstance(result, Picture):
            self._add(self.decoded, _decoded_row(sha256, f"{sha256}.{self._encoding}", result))
            if result.flaws:
                self.flawed += Flawed.of(path, result.flaws)
        elif result.reason is Reason.TOO_LARGE and sha256 in self._before:
            self.still_too_large += 1
        elif result.reason.about_bytes:
            row = {"sha256": sha256, "path": path, "reason": result.reason, "message": result.message}
            self._add(self.rejected, row)
        else:
            self.skipped.append(MissingPhoto(path, *result))

    def _add(self, shards: _Shards, row: dict[str, Any]) -> None:
        shards.rows.append(row)
        shards.total += 1
        if len(shards.rows) == ROWS_PER_SHARD:
            self._publish(shards)

    def _publish(self, shards: _Shards) -> None:
        if shards.rows:
            self._behind.do(_publish, shards.store, shards.take())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        with self._behind:
            if kind is None:
                self._publish(self.decoded)
                self._publish(self.rejected)
                self._behind.wait()


def _publish(store: ShardStore, rows: list[dict[str, Any]]) -> None:
    store.append(pa.Table.from_pylist(rows, store.schema))


def _decoded_row(sha256: str, name: str, picture: Picture) -> dict[str, Any]:
    return {
        "sha256": sha256,
        "image": {"bytes": picture.image, "path": name},
        "width": picture.width,
        "height": picture.height,
        "format": picture.format,
        "mode": picture.mode,
    }
