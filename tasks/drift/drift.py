"""Finds the new photos of a snapshot, and compares them with the earlier ones."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.drift.comparison import choose_sample, compare_photos
from tasks.drift.photo_statistics import StatisticsStore
from tasks.drift.result import DriftResult
from tasks.errors import StoreError
from tasks.progress import Progress
from tasks.snapshot.photos import read_snapshot, usable
from tasks.storage.layout import DataRoot


class MeasuredDrift(NamedTuple):
    """A comparison, and the photos whose statistics it needed."""

    result: DriftResult  #: The comparison; an empty one where there was nothing to compare.
    computed: int  #: Photos whose statistics were computed.
    recalled: int  #: Photos whose statistics were known.


def find_drift(snapshot: str, baseline: str, store: StatisticsStore, progress: Progress) -> MeasuredDrift:
    """Compare the photos that are new in a snapshot with those that an earlier one has too.

    There is nothing to compare without an earlier snapshot, or where it cannot be read, or where all or none of the
    photos are new. The first snapshot of a dataset leaves the statistics that the next one needs.

    Args:
        snapshot: Key of the snapshot.
        baseline: Key of the earlier snapshot; empty if there is none.
        store: The statistics of the dataset's photos.
        progress: Counts the photos whose statistics are computed.

    Raises:
        StoreError: The snapshot, or a shard of pictures or vectors, is damaged.
    """
    photos = usable(read_snapshot(store.root, snapshot))
    earlier = _read_earlier(store.root, baseline)
    is_new = (
        ~np.asarray(pc.is_in(photos["sha256"].combine_chunks(), earlier)) if earlier else np.ones(len(photos), bool)
    )
    if earlier and not is_new.any():
        return MeasuredDrift(DriftResult(), 0, 0)
    samples = [choose_sample(photos["sha256"].filter(pa.array(chosen))) for chosen in (is_new, ~is_new)]
    statistics, computed = store.update(pa.concat_arrays(samples), progress)
    result = compare_photos(photos, is_new, statistics) if not is_new.all() else DriftResult()
    return MeasuredDrift(result, computed, statistics.num_rows - computed)


def _read_earlier(root: DataRoot, baseline: str) -> pa.Array | None:
    """Keys of the photos of the earlier snapshot; None where it is missing or damaged."""
    try:
        return usable(read_snapshot(root, baseline))["sha256"].combine_chunks() if baseline else None
    except StoreError:
        return None
