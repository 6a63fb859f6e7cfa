"""How a dataset differs from that of the run before."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.errors import StoreError
from tasks.report.view_model import LabelChange
from tasks.snapshot.photos import read_snapshot, usable
from tasks.storage.layout import DataRoot


class SnapshotChanges(NamedTuple):
    """What became of the photos between two snapshots.

    Args:
        labels: Labels that changed, sorted.
        added: Keys of the photos that were added, sorted.
    """

    labels: list[LabelChange]
    added: list[str]


def compare_snapshots(before: pa.Table, now: pa.Table) -> SnapshotChanges:
    """Compare the usable photos of two snapshots by their content: a photo that was only moved is no change.

    Args:
        before: The table of the snapshot before.
        now: The table of the one now.
    """
    old, new = usable(before), usable(now)
    here = pc.index_in(new["sha256"], old["sha256"].combine_chunks()).combine_chunks()
    added = np.asarray(pc.is_null(here))
    # An earlier version of this project kept labels as their folders' names were written.
    old = old.set_column(old.column_names.index("label"), "label", pc.utf8_normalize(old["label"], form="NFC"))
    had = old["label"].take(here)
    arrived = np.asarray(pc.fill_null(pc.not_equal(new["label"], had), fill_value=False).combine_chunks())
    gone = ~np.asarray(pc.is_in(old["sha256"], new["sha256"].combine_chunks()).combine_chunks())
    counts = [_count(new, added), _count(old, gone), _count(new, arrived)]
    labels = sorted(set().union(*counts))
    changes = [LabelChange(label, *(count.get(label, 0) for count in counts)) for label in labels]
    return SnapshotChanges(changes, new.filter(pa.array(added))["sha256"].to_pylist())


def read_difference(before: str, now: pa.Table, root: DataRoot) -> SnapshotChanges | None:
    """Compare a snapshot with an earlier one, given by its key; None where that is gone or damaged."""
    try:
        return compare_snapshots(read_snapshot(root, before), now)
    except StoreError:
        return None


def _count(table: pa.Table, which: npt.NDArray[np.bool_]) -> dict[str, int]:
    counted: Iterable[dict[str, int]] = pc.value_counts(table["label"].filter(pa.array(which))).to_pylist()
    return {str(item["values"]): item["counts"] for item in counted}
