"""Seconds and disk of a dataset that grows every night: a cold run, then runs with some new photos each, by date.

The first photos of a folder, in the order of the hashes of their names, are the dataset of the cold run; each night
adds the next. Every run has all defaults. Disk is counted in allocated blocks, files with several names once.
"""

import datetime as dt
import hashlib
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from tests.benchmarks.measure import FLOWERS, Output, Source, Table, publish, run_command
from tests.benchmarks.runs import add_photos, choose_photos, read_record, retrain

FIRST = dt.date(2026, 1, 1)


def disk(folder: Path) -> float:
    """Return the disk usage of a folder in MB."""
    found = {path.lstat().st_ino: path.lstat().st_blocks * 512 for path in folder.rglob("*")}
    return sum(found.values()) / 1e6


def main(output: Output, source: Source = FLOWERS, nights: int = 30, new: int = 20) -> None:
    """Run the nights once."""
    photos = sorted(choose_photos(source, 0), key=lambda path: hashlib.sha256(path.name.encode()).digest())
    seconds: dict[str, list[float]] = {"cold": [], f"{new} photos more": [], "nothing to do": []}
    used: list[float] = []
    exports: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        dataset, root = Path(name, "photos"), Path(name, "data")
        start = len(photos) - nights * new
        for night in range(nights + 1):
            way = f"{new} photos more" if night else "cold"
            add_photos(
                photos[start + (night - 1) * new : start + night * new] if night else photos[:start], source, dataset
            )
            date = FIRST + dt.timedelta(night)
            for state in (way, "nothing to do"):
                started = time.perf_counter()
                retrain(dataset, root, date=f"{date}")
                seconds[state].append(time.perf_counter() - started)
            used.append(disk(root))
            exports.append(read_record(root, f"{date}")["stages"]["export"]["seconds"])
    grown = [after - before for before, after in pairwise(used)]
    tables = [
        Table("From shell to exit", "s", seconds, lower_is_better=True),
        Table(
            "Disk", "MB", {"after the cold run": used[:1], f"after {nights} nights": used[-1:], "a night adds": grown}
        ),
    ]
    publish("nights", tables, output, disk=used, exports=exports)


if __name__ == "__main__":
    run_command(main, __doc__)
