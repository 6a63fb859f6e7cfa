"""Layouts of datasets: a folder of photos, or Parquet files whose rows are the photos."""

from tasks.paths import AnyPath
from tasks.snapshot.row_paths import is_parquet


def photos_root(location: AnyPath) -> AnyPath:
    """Return the folder that the paths of photos are relative to: of a single Parquet file the one above it."""
    # On an object store the question is a request, so that only such names ask it.
    return location.parent if is_parquet(location.name) and location.is_file() else location
