"""The runs of a dataset before one of them."""

from collections.abc import Sequence
from typing import NamedTuple

from tasks.report.reported_run import ReportedRun
from tasks.runs.records import RunRecord, read_history
from tasks.storage.layout import DataRoot


class PreviousRuns(NamedTuple):
    """The runs before a run.

    Args:
        nights: In the order of their dates, those of one date in the order in which they ended.
        notes: Sentences on records that cannot be read.
    """

    nights: Sequence[RunRecord]
    notes: Sequence[str]

    @property
    def last(self) -> RunRecord | None:
        """The run before; None for the first one."""
        return self.nights[-1] if self.nights else None


def read_previous_runs(root: DataRoot, occasion: ReportedRun) -> PreviousRuns:
    """Read the runs of the same dataset that are for the same date or an earlier one.

    What the same record said before, where photos were added on the same day, is no other run.
    """
    nights, damaged = read_history(root, occasion.dataset)
    before = [night for night in nights if night.record != occasion.record and night.date <= occasion.date]
    return PreviousRuns(before, [f"A run is left out: {error}" for error in damaged])
