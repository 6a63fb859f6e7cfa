"""The earlier snapshot that new photos are compared with."""

import datetime as dt

from tasks.errors import StoreError
from tasks.runs.records import read_run
from tasks.storage.files import listed
from tasks.storage.layout import DataRoot


def find_baseline(root: DataRoot, dataset: str, date: dt.date) -> str:
    """Find the snapshot of the newest run of a dataset for an earlier date; empty if there is none.

    Runs whose model was refused because of drift are passed over: otherwise the photos that one night refuses would
    be the earlier photos of the next night. A record that is damaged is passed over too.
    """
    for path in reversed(listed(root.runs(dataset), "*.json")):
        # The name of a record begins with its date.
        if path.name < f"{date}":
            try:
                run = read_run(path)
            except StoreError:
                continue
            if run.kept_by != "drift" and root.snapshot(run.snapshot).is_file():
                return run.snapshot
    return ""
