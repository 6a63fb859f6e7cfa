"""How many photos may be missing from the decoded store before a run is not worth finishing."""

from collections import Counter
from collections.abc import Mapping, Sequence

import pyarrow as pa

from tasks.decode.rejections import MissingPhoto
from tasks.errors import DatasetError
from tasks.snapshot.photos import check_labels

_WORST = 10


def check_missing(missing: Sequence[MissingPhoto], wanted: int, most: float) -> None:
    """Refuse to go on when too many photos have no picture.

    Args:
        missing: The photos without a picture.
        wanted: How many photos there are.
        most: Share of them that may be missing, 0 to 1.

    Raises:
        DatasetError: It is more; lists the most frequent reasons and some photos.
    """
    if len(missing) <= most * wanted:
        return
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in Counter(row.reason for row in missing).most_common())
    raise DatasetError(
        f"{len(missing):,} of {wanted:,} photos cannot be decoded ({reasons}), more than --max-rejected {most:g} lets "
        f"pass. Mend or remove these photos, or allow more:{_worst(missing)}"
    )


def check_left(left: Mapping[str, int], missing: Sequence[MissingPhoto]) -> None:
    """Refuse to go on when a label has too few photos left to train on.

    Args:
        left: Photos with a picture of each label of the snapshot.
        missing: The photos without a picture.

    Raises:
        DatasetError: It names these labels, and lists some photos that cannot be decoded.
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
    """Join the rejected rows with the paths that the snapshot knows, in the order of paths.

    Args:
        wanted: Usable photos of the snapshot, columns sha256 and path.
        rejected: Rows of the rejected store.
        skipped: Photos that were missing, unreadable or changed when they were to be read.
    """
    paths = dict(zip(wanted.column("sha256").to_pylist(), wanted.column("path").to_pylist(), strict=True))
    rows = [MissingPhoto(paths[row["sha256"]], row["reason"], row["message"]) for row in rejected.to_pylist()]
    return sorted([*rows, *skipped])
