"""Seconds from shell to exit of the real `luigi` command with nothing to do, by the number of rows in the stores.

The same run is in the data root of each number, on drawn photos; the rest of the rows is made up and appended to its
stores as shards.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tasks.bottleneck.settings import ROWS_PER_GROUP as VECTORS_PER_GROUP
from tasks.decode.photos import ROWS_PER_GROUP, ROWS_PER_SHARD
from tasks.shards.compaction import open_store, store_folders
from tasks.storage.layout import DataRoot
from tests.benchmarks.made_up import fill_bottlenecks, fill_decoded, make_keys
from tests.benchmarks.measure import Output, Repeat, Table, publish, run_command, time_in_turn
from tests.benchmarks.runs import retrain
from tests.pipeline.command import QUICK, draw


def fill_stores(root: Path, rows: int) -> int:
    """Append made-up rows to the stores of a run; returns the number of shards."""
    shards = 0
    for folder in store_folders(DataRoot(root)):
        store = open_store(folder, {"decode": ROWS_PER_GROUP, "bottleneck": VECTORS_PER_GROUP})
        if "bottleneck" in store.schema.names:
            fill_bottlenecks(store, make_keys(rows), views=1)
        else:
            fill_decoded(store, make_keys(rows), ROWS_PER_SHARD)
        shards += len(store.shards())
    return shards


def run_again(photos: Path, root: Path) -> None:
    done = retrain(photos, root, **QUICK)
    assert done.output.startswith("Nothing to do"), done.output


def main(output: Output, repeat: Repeat = 5, rows: tuple[int, int] = (2_000, 1_000_000)) -> None:
    """Time the run with few and with many rows in each store."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ways: dict[str, Callable[[], object]] = {}
        photos = folder / "photos"
        draw(photos, range(60), labels=5)
        for count in rows:
            root = folder / f"{count}"
            retrain(photos, root, **QUICK)
            shards = fill_stores(root, count)
            ways[f"{count:,} rows in {shards:,} shards"] = partial(run_again, photos, root)
        ways["import luigi alone"] = partial(subprocess.run, [sys.executable, "-c", "import luigi"], check=True)
        seconds = time_in_turn(ways, repeat)
    table = Table("The same command again, nothing to do, from shell to exit", "s", seconds, lower_is_better=True)
    publish("nothing_to_do", [table], output)


if __name__ == "__main__":
    run_command(main, __doc__)
