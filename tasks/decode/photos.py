"""Brings the decoded store up to date with the photos that are wanted."""

from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from tasks.artifacts import DECODE, REJECTED, DataRoot, Store, describe
from tasks.cores import available_cores
from tasks.decode.images import Picture
from tasks.decode.rejections import Missing
from tasks.decode.settings import DecodeSettings
from tasks.decode.workers import Photo, Tried, decode_files, in_processes
from tasks.progress import Progress
from tasks.threads import Behind

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
    decoded: Store
    rejected: Store


@dataclass(frozen=True)
class DecodeCounts:
    """What became of the photos that were wanted.

    Args:
        new: Photos decoded now.
        reused: Photos that had a picture before.
        rejected: Photos rejected now.
        rejected_before: Photos that had been rejected before and were not tried again.
        skipped: Photos that have a row in neither store, because of their file and not of its bytes. The run can go on
            without them; the next one tries them again.
    """

    new: int
    reused: int
    rejected: int
    rejected_before: int
    skipped: tuple[Missing, ...]


def open_stores(root: DataRoot, settings: DecodeSettings) -> DecodeStores:
    """Find the stores of these settings below the data root; nothing needs to be there yet."""
    key, ingredients = settings.key, settings.ingredients()
    return DecodeStores(
        settings,
        Store(root.decode(key), describe(DECODE, "decode", key, ingredients), ROWS_PER_GROUP),
        Store(root.rejected(key), describe(REJECTED, "decode", key, ingredients), ROWS_PER_GROUP),
    )


def decode_photos(
    photos: pa.Table, folder: Path, stores: DecodeStores, progress: Progress, workers: int | None = None
) -> DecodeCounts:
    """Decode the wanted photos that have a row in neither store.

    A shard is published every 512 rows, while the processes go on, so that a run that is killed loses no more than two
    of them. Memory is bounded by those and by the batches in flight, whatever the number of photos. Rows are in the
    order of the photos.

    Args:
        photos: Those wanted, with the columns `sha256` (each once) and `path`.
        folder: What the paths are relative to.
        stores: Where the rows go.
        progress: Told of each photo that is tried.
        workers: Processes at most; None is one a core.

    Returns:
        What became of them.

    Raises:
        StoreError: A shard is damaged or of another version.
    """
    stores.decoded.sweep()
    stores.rejected.sweep()
    keys = photos.column("sha256").combine_chunks()
    decoded = stores.decoded.found(keys)
    rejected = stores.rejected.found(keys) & ~decoded
    left = photos.filter(pa.array(~(decoded | rejected)))
    untried = list(map(Photo, left.column("sha256").to_pylist(), left.column("path").to_pylist()))
    progress.start(len(untried), "photos")
    work = partial(decode_files, folder=folder, settings=stores.settings)
    with (
        _Writer(stores) as writer,
        closing(in_processes(work, untried, workers or available_cores())) as batches,
    ):
        for batch in batches:
            for tried in batch:
                writer.add(tried)
            progress.advance(len(batch))
    return DecodeCounts(
        new=writer.decoded.total,
        reused=int(decoded.sum()),
        rejected=writer.rejected.total,
        rejected_before=int(rejected.sum()),
        skipped=tuple(writer.skipped),
    )


@dataclass
class _Shards:
    """The rows that wait to be a store's next shard."""

    store: Store
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
    """

    def __init__(self, stores: DecodeStores) -> None:
        self.decoded, self.rejected = _Shards(stores.decoded), _Shards(stores.rejected)
        self.skipped: list[Missing] = []
        self._encoding = stores.settings.encoding
        self._behind = Behind()

    def add(self, tried: Tried) -> None:
        (sha256, path), result = tried
        if isinstance(result, Picture):
            self._add(self.decoded, _decoded_row(sha256, f"{sha256}.{self._encoding}", result))
        elif result.reason.lasting:
            row = {"sha256": sha256, "path": path, "reason": result.reason, "message": result.message}
            self._add(self.rejected, row)
        else:
            self.skipped.append(Missing(path, *result))

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


def _publish(store: Store, rows: list[dict[str, Any]]) -> None:
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
