"""Seconds from shell to exit of the real `luigi` command with nothing to do, and with 1 % of the photos new.

    python -m tests.benchmarks.nothing_to_do --output FOLDER

Nothing to do: a data root for each number of rows; the same run is in all of them, on a folder of drawn photos. The
rest of the rows is made up and appended to its decoded and bottleneck stores as real shards. What was imported is asked
of Python itself. 1 % new: a cold run with all defaults on 99 % of a folder's photos, in a fresh data root, then the
same command with the other 1 % there too. Ratios say how many times as fast something was: of the whole, 20 is 5 %.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tasks.bottleneck.settings import ROWS_PER_GROUP as VECTORS_PER_GROUP
from tasks.decode.photos import ROWS_PER_GROUP, ROWS_PER_SHARD
from tasks.shards.compaction import open_store, store_folders
from tasks.storage.layout import DataRoot
from tests.benchmarks.made_up import fill_bottlenecks, fill_decoded, make_keys
from tests.benchmarks.table import Table, parser, tell, time_in_turn
from tests.pipeline.command import LUIGI, draw
from tests.support.repository import REPOSITORY

HEAVY = {"PIL", "keras", "matplotlib", "scipy", "sklearn", "tensorflow"}
#: As many as tasks.bottleneck.extract has, which imports Pillow.
VECTORS_PER_SHARD = 1024
QUICK = ("--image-size", "64", "--views", "1", "--folds", "2", "--layers", "last")


def retrain(photos: Path, root: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `luigi --module pipeline RetrainFlowers`.

    Raises:
        SystemExit: It failed.
    """
    where = ("--dataset", str(photos), "--data-root", str(root))
    command = [str(LUIGI), "--module", "pipeline", "RetrainFlowers", *where, *options]
    own = {**os.environ, **environment}
    done = subprocess.run(command, cwd=REPOSITORY, env=own, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command} failed: {done.stderr}")
    return done


def fill_stores(root: Path, rows: int) -> int:
    """Append made-up rows to the stores of a run until each has so many; returns how many shards there are then."""
    shards = 0
    for folder in store_folders(DataRoot(root)):
        store = open_store(folder, {"decode": ROWS_PER_GROUP, "bottleneck": VECTORS_PER_GROUP})
        if "bottleneck" in store.schema.names:
            fill_bottlenecks(store, make_keys(rows), 1, VECTORS_PER_SHARD)
        else:
            fill_decoded(store, make_keys(rows), ROWS_PER_SHARD)
        shards += len(store.shards())
    return shards


def imported(photos: Path, root: Path) -> set[str]:
    """Packages that a run with nothing to do imports."""
    done = retrain(photos, root, *QUICK, PYTHONPROFILEIMPORTTIME="1")
    if not done.stdout.startswith("Nothing to do"):
        raise SystemExit(f"There was something to do: {done.stdout}")
    lines = [line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.partition(".")[0] for line in lines}


def time_nothing(sizes: Iterable[int], repeat: int, folder: Path) -> tuple[Table, dict[str, Any]]:
    """Time runs with nothing to do, in turn."""
    photos = folder / "drawn"
    draw(photos, range(60), labels=5)
    ways, facts = {}, {}
    for rows in sizes:
        root = folder / f"{rows}"
        retrain(photos, root, *QUICK)
        shards = fill_stores(root, rows)
        heavy = sorted(imported(photos, root) & HEAVY)
        facts[f"{rows}"] = {"shards": shards, "heavy_imports": heavy}
        sys.stdout.write(f"{rows:,} rows in {shards:,} shards; of {', '.join(sorted(HEAVY))} imported: {heavy}\n")
        ways[f"{rows:,} rows"] = partial(retrain, photos, root, *QUICK)
    first = next(iter(ways))
    ways["import luigi alone"] = partial(subprocess.run, [sys.executable, "-c", "import luigi"], check=True)
    title = "The same command again, nothing to do, from shell to exit"
    seconds = time_in_turn(ways, repeat)
    return Table("nothing_to_do", title, "s", first, seconds, less_is_better=True), facts


def link(files: Iterable[Path], source: Path, target: Path) -> None:
    """Let a dataset have these photos of another one."""
    for file in files:
        place = target / file.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(file.resolve())


def run_and_read(photos: Path, root: Path) -> dict[str, float]:
    """Run with all defaults; seconds of the whole from shell to exit, and of each stage from the run's record."""
    started = time.perf_counter()
    retrain(photos, root)
    seconds = {"whole": time.perf_counter() - started}
    (path,) = root.glob("runs/*/*.json")
    record: Mapping[str, Any] = json.loads(path.read_text())
    seconds["start-up"] = record["startup"]["seconds"]
    return seconds | {name: stage["seconds"] for name, stage in record["stages"].items()}


def time_new(source: Path, photos: int, repeat: int, folder: Path) -> tuple[Table, dict[str, Any]]:
    """Time a cold run on 99 % of the photos, and the next one on all."""
    files = sorted(source.glob("*/*.*"))
    # Spread over the labels, which stand one after the other.
    files = files[:: max(1, len(files) // photos)] if photos else files
    rows: dict[str, list[float]] = {}
    new = files[50::100]
    for number in range(repeat):
        own, root = folder / f"photos{number}", folder / f"data{number}"
        for state, added in (("cold", [file for file in files if file not in set(new)]), ("1 % new", new)):
            link(added, source, own)
            for name, seconds in run_and_read(own, root).items():
                # A stage that an earlier run had done has none, and no ratio.
                if seconds:
                    rows.setdefault(f"{state}: {name}", []).append(seconds)
    facts = {"photos": len(files), "new": len(new)}
    title = f"{len(files) - len(new):,} photos cold, then {len(new)} more; stages as the run record has them"
    return Table("nothing_to_do", title, "s", "cold: whole", rows, less_is_better=True), facts


def main() -> None:
    """Measure, print two tables, and write them as JSON."""
    options = parser(__doc__)
    options.add_argument("--rows", type=int, nargs="+", default=[2_000, 1_000_000], help="Rows of each store.")
    options.add_argument(
        "--source", type=Path, default=Path("../shared/flower_photos"), help="Photos for the 1 %% new."
    )
    options.add_argument("--photos", type=int, default=0, help="Take about so many of them; 0 is all.")
    options.add_argument("--cold", type=int, default=1, help="Rounds of a cold run and one with 1 %% new.")
    arguments = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        nothing, facts = time_nothing(arguments.rows, arguments.repeat, Path(folder))
        new, photos = time_new(arguments.source, arguments.photos, arguments.cold, Path(folder))
        tell([nothing, new], arguments.output, stores=facts, **photos)


if __name__ == "__main__":
    main()
