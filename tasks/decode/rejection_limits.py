"""Stops a run if too many photos have no picture."""

from collections import Counter
from collections.abc import Mapping, Sequence

import pyarrow as pa

from tasks.decode.rejections import MissingPhoto
from tasks.errors import DatasetError
from tasks.snapshot.photos import check_labels

_WORST = 10


def check_missing(missing: Sequence[MissingPhoto], wanted: int, most: float) -> None:
    """Raise if more photos have no picture than a share, 0 to 1, of those of the snapshot.

    Raises:
        DatasetError: More are missing. The message counts the reasons and lists some photos.
    """
    if len(missing) <= most * wanted:
        return
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in Counter(row.reason for row in missing).most_common())
    raise DatasetError(
        f"{len(missing):,} of {wanted:,} photos cannot be decoded ({reasons}), more than --max-rejected {most:g} lets "
        f"pass. Mend or remove these photos, or allow more:{_worst(missing)}"
    )


def check_left(left: Mapping[str, int], missing: Sequence[MissingPhoto]) -> None:
    """Raise if a label has too few photos with a picture left to train on.

    Raises:
        DatasetError: The message names the labels and lists some photos that cannot be decoded.
    """
    try:
        check_labels(left)
    except DatasetError as exc:
        raise DatasetError(f"{exc} These photos cannot be decoded:{_worst(missing)}") from exc


def _worst(missing: Sequence[MissingPhoto]) -> str:
    lines = [f"\n  {row.path}: {row.message}" for row in missing[:_WORST]]
    more = f"\n  and {len(missing) - _WORST:,} more" if len(missing) > _WORST else ""
    return "".join(lines) + more


def missing_photos(wanted: pa.Table, rejected: pa.Table, skipped: Sequence[MissingPhoto] = ()) -> list[MissingPhoto]:
    """List the photos without a picture, rejected or skipped, sorted by their paths in the snapshot.

    Args:
        wanted: Usable photos of the snapshot, columns `sha256` and `path`.
        rejected: Rows of the rejected store.
        skipped: Photos whose files were missing, unreadable or changed.
    """
    paths = dict(zip(wanted.column("sha256").to_pylist(), wanted.column("path").to_pylist(), strict=True))
    rows = [MissingPhoto(paths[row["sha256"]], row["reason"], row["message"]) for row in rejected.to_pylist()]
    return sorted([*rows, *skipped])
