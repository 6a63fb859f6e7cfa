"""Limits of a snapshot: its columns are arrays of Arrow's."""

from tasks.errors import DatasetError
from tasks.paths import AnyPath

#: Most bytes of text in an Arrow array.
COLUMN_BYTES = 2**31 - 1


def check_size(root: AnyPath, photos: int, path_bytes: int = 0) -> None:
    """Refuse photos whose hashes or paths do not fit into one column of a table, before any photo is read.

    Raises:
        DatasetError: There are too many.
    """
    if max(64 * photos, path_bytes) > COLUMN_BYTES:
        raise DatasetError(
            f"The dataset {root} has {photos:,} photos, with paths of {path_bytes:,} bytes. It can have "
            f"{COLUMN_BYTES // 64:,}, with paths of {COLUMN_BYTES:,} bytes in all: make several datasets of it."
        )
