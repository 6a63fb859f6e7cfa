"""Reads the rejected store: which photos are tried again, and whether too many have no picture."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from tasks.decode.rejections import RULES, MissingPhoto, Reason
from tasks.decode.settings import DecodeSettings
from tasks.errors import DatasetError
from tasks.shards.schemas import REJECTED, describe
from tasks.shards.store import ShardStore
from tasks.snapshot.given_splits import count_splits
from tasks.snapshot.labels import check_labels
from tasks.snapshot.photos import count_labels

#: Metadata of a shard: the `RULES` of the version that wrote it. Shards of version 1 lack it.
_RULES = b"rules"
#: Photos without a picture that an error lists.
_WORST = 10


class RejectedRow(NamedTuple):
    """A row of the rejected store, by column, and whether the photo is not tried again."""

    row: dict[str, Any]
    is_settled: bool

    @property
    def is_too_large(self) -> bool:
        """Whether the photo was too large for an earlier run."""
        return bool(self.row["reason"] == Reason.TOO_LARGE)


def rejected_schema(settings: DecodeSettings) -> pa.Schema:
    """Return the schema of the shards that this version writes."""
    schema = describe(REJECTED, "decode", settings.key, settings.ingredients())
    return schema.with_metadata({**schema.metadata, _RULES: str(RULES)})


def read_rows(store: ShardStore, keys: pa.Array) -> dict[str, RejectedRow]:
    """Read the rows of rejected photos, by key.

    A photo that was too large for an earlier run, or rejected by earlier rules, can have several rows. The settled one
    counts.

    Raises:
        StoreError: A shard is damaged or of another version.
    """
    found: dict[str, RejectedRow] = {}
    for metadata, table in store.every_row(keys):
        for row in table.to_pylist():
            reason = Reason(row["reason"])
            is_current = int(metadata.get(_RULES, b"1")) >= RULES
            new = RejectedRow(row, reason.lasting and (is_current or not reason.by_rules))
            known = found.get(row["sha256"], new)
            found[row["sha256"]] = max(known, new, key=lambda one: (one.is_settled, not one.is_too_large))
    return found


def check_missing(missing: Sequence[MissingPhoto], wanted: int, most: float) -> None:
    """Raise if too many photos have no picture.

    Args:
        missing: Photos without a picture.
        wanted: Number of usable photos of the snapshot.
        most: Largest share of them that may have no picture, in [0, 1].

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


def check_left(left: pa.Table, labels: Iterable[str], missing: Sequence[MissingPhoto]) -> None:
    """Raise if a label has too few photos with a picture left to train on.

    Args:
        left: The usable photos with a picture, columns of `SNAPSHOT`.
        labels: All labels.
        missing: Photos without a picture.

    Raises:
        DatasetError: The message names the labels and lists some photos that cannot be decoded.
    """
    try:
        check_labels(dict.fromkeys(labels, 0) | count_labels(left), given=count_splits(left))
    except DatasetError as exc:
        raise DatasetError(f"{exc} These photos cannot be decoded:{_worst(missing)}") from exc


def _worst(missing: Sequence[MissingPhoto]) -> str:
    lines = [f"\n  {row.path}: {row.message}" for row in missing[:_WORST]]
    more = f"\n  and {len(missing) - _WORST:,} more" if len(missing) > _WORST else ""
    return "".join(lines) + more


def missing_photos(wanted: pa.Table, rejected: pa.Table, skipped: Sequence[MissingPhoto] = ()) -> list[MissingPhoto]:
    """List the photos of the snapshot without a picture, those of the rejected store and those that were skipped.

    They are sorted by their paths in the snapshot, whose usable photos (`wanted`) have the columns `sha256` and `path`.
    """
    paths = dict(zip(wanted.column("sha256").to_pylist(), wanted.column("path").to_pylist(), strict=True))
    rows = [MissingPhoto(paths[row["sha256"]], row["reason"], row["message"]) for row in rejected.to_pylist()]
    return sorted([*rows, *skipped])
