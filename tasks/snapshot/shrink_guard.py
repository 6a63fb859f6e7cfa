"""A guard against a dataset that lost photos, as when a disk is not mounted."""

import pyarrow as pa
import pyarrow.compute as pc

from tasks.errors import DatasetError, first_of

_NAMED = 5


def check_shrink(before: pa.Table, now: pa.Table, max_shrink: float, since: str) -> None:
    """Refuse a snapshot that lacks too many photos of the one before.

    A photo is gone if neither its content nor its path is left: photos that were moved or edited are not gone. Added
    photos do not make up for those, since another dataset may have been put in the place of this one.

    Args:
        before: Table of the last snapshot.
        now: Table of the new one.
        max_shrink: Largest share of the photos that may be gone, in [0, 1].
        since: Date of the last snapshot, for the error.

    Raises:
        DatasetError: More are gone; names the counts and the labels that lost most.
    """
    left = [pc.is_in(before[name], now[name].combine_chunks()) for name in ("sha256", "path")]
    gone = before["label"].filter(pc.invert(pc.or_(*left)))
    if len(gone) <= max_shrink * before.num_rows:
        return
    counts = {item["values"]: item["counts"] for item in pc.value_counts(gone).to_pylist()}
    named = [f"{label!r} {counts[label]:,}" for label in sorted(counts, key=lambda label: (-counts[label], label))]
    raise DatasetError(
        f"{len(gone):,} of the {before.num_rows:,} photos of {since} are gone ({first_of(named, _NAMED)}), more than "
        f"--max-shrink {max_shrink:g}; there are {now.num_rows:,} now, and everything from before is kept. Mount or "
        "put back what is missing, or its rows in a table of labels, or accept the loss with --max-shrink 1."
    )
