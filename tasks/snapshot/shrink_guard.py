"""A dataset that became smaller: a guard against a night in which photos vanished, and which labels came and went."""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from tasks.errors import DatasetError
from tasks.snapshot.labels import to_label

_NAMED = 5


def check_shrink(before: pa.Table, now: pa.Table, max_shrink: float, since: str) -> None:
    """Refuse a snapshot that lacks too many photos of the one before.

    A photo is gone where neither its content nor its path is there any more: one that was moved to another folder or
    edited in its place is not. Photos that were added make up for none that is gone, since another dataset may have
    been put in the place of this one.

    Args:
        before: The table of the last snapshot.
        now: The table of the new one.
        max_shrink: The share of the photos before that may be gone, in [0, 1].
        since: The date of the last snapshot, for the error.

    Raises:
        DatasetError: More are gone; names the counts and the labels that lost most.
    """
    there = [pc.is_in(before[name], now[name].combine_chunks()) for name in ("sha256", "path")]
    gone = before["label"].filter(pc.invert(pc.or_(*there)))
    had, lost = before.num_rows, len(gone)
    if lost <= max_shrink * had:
        return
    counts = {item["values"]: item["counts"] for item in pc.value_counts(gone).to_pylist()}
    worst = sorted(counts, key=lambda label: (-counts[label], label))
    named = ", ".join(f"{label!r} {counts[label]:,}" for label in worst[:_NAMED])
    more = f" and {len(worst) - _NAMED:,} more labels" if len(worst) > _NAMED else ""
    raise DatasetError(
        f"{lost:,} of the {had:,} photos of {since} are gone ({named}{more}), more than --max-shrink {max_shrink:g}; "
        f"there are {now.num_rows:,} now, and everything from before is kept. Mount or put back what is missing, or "
        "accept the loss with --max-shrink 1."
    )


def label_changes(before: Mapping[str, int] | None, now: Mapping[str, int]) -> dict[str, list[str]]:
    """Which labels came and went.

    Args:
        before: Photos of each label on an earlier date; None on the first night, on which no label is new.
        now: The same now.

    Returns:
        `new` and `gone`, each sorted.
    """
    if before is None:
        return {"new": [], "gone": []}
    # An earlier version of this project kept labels as their folders' names were written.
    had = set(map(to_label, before))
    return {"new": sorted(now.keys() - had), "gone": sorted(had - now.keys())}
