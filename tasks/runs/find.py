"""Finds the datasets with runs that a command line names."""

import re
from functools import partial

from tasks.catalog import SAMPLE, find_dataset
from tasks.download.source_fallback import last_known_dataset
from tasks.errors import DatasetError
from tasks.runs.records import recorded_datasets
from tasks.storage.layout import DataRoot


def find_runs(text: str | None, root: DataRoot) -> list[str]:
    """Find the datasets that have runs: their names in the folder of records, 1 at least.

    A text is such a name or a value of --dataset; `sample` has a name for each number of photos. None is all datasets.

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
