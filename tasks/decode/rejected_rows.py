"""Reads the rejected store: which rejections are final, and which photos are tried again."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pyarrow as pa

from tasks.decode.rejections import RULES, Reason
from tasks.decode.settings import DecodeSettings
from tasks.shards.schemas import REJECTED, describe
from tasks.shards.store import ShardStore

#: Metadata of a shard: the `RULES` of the version that wrote it. Shards of version 1 lack it.
_RULES = b"rules"


class RejectedRow(NamedTuple):
    """A row of the rejected store.

    Args:
        row: Values by column.
        is_settled: Whether the photo is not tried again.
    """

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
            known, new = found.get(row["sha256"]), RejectedRow(row, _is_settled(Reason(row["reason"]), metadata))
            if known is None or _weight(new) > _weight(known):
                found[row["sha256"]] = new
    return found


def _is_settled(reason: Reason, metadata: Mapping[bytes, bytes]) -> bool:
    is_current = int(metadata.get(_RULES, b"1")) >= RULES
    return reason.lasting and (is_current or not reason.by_rules)


def _weight(rejected: RejectedRow) -> tuple[bool, bool]:
    return rejected.is_settled, not rejected.is_too_large
