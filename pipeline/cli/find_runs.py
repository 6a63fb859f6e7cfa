"""Finds the runs that a person means, and reads those whose records can be read."""

import re
from functools import partial

import typer

from tasks.catalog import SAMPLE, find_dataset
from tasks.download.source_fallback import last_known_dataset
from tasks.errors import DatasetError
from tasks.runs.records import RunRecord, read_history, recorded_datasets
from tasks.storage.layout import DataRoot


def find_runs(text: str | None, root: DataRoot) -> list[str]:
    """Find datasets that have runs.

    Args:
        text: A dataset's name in the folder of records, or what was given to --dataset; None means all of them.
        root: The data root.

    Returns:
        Names in the folder of records, 1 at least; several where nothing was given, or `sample`, which has a name for
        each number of photos.

    Raises:
        DatasetError: There are none.
    """
    recorded = recorded_datasets(root)
    if not recorded:
        raise DatasetError(f"There are no runs in {root.path}. Start one: luigi --module pipeline RetrainFlowers.")
    if text is None or text in recorded:
        return recorded if text is None else [text]
    found = [name for name in recorded if name in _names(text, recorded, root)]
    if not found:
        raise DatasetError(f"{text!r} has no runs in {root.path}. Datasets that have: {', '.join(recorded)}.")
    return found


def _names(text: str, recorded: list[str], root: DataRoot) -> list[str]:
    if text == SAMPLE:
        return [name for name in recorded if re.fullmatch(rf"{SAMPLE}-\d+", name)]
    try:
        return [find_dataset(text, 0, partial(last_known_dataset, root)).name]
    except DatasetError:
        return []


def read_readable(root: DataRoot, dataset: str) -> tuple[list[RunRecord], bool]:
    """Read the runs of a dataset; a record that cannot be read is named on standard error.

    Returns:
        The runs, in the order of their dates, those of one date as they ended; and whether all could be read.
    """
    nights, damaged = read_history(root, dataset)
    for error in damaged:
        typer.echo(str(error), err=True)
    return nights, not damaged
