"""Seconds from shell to exit of the real `luigi` command by engine and data root: cold, with 1 % new, nothing to do.

    python -m tests.benchmarks.data_roots --output FOLDER --repeat 3

On this machine's disk photos and data root are folders; on the object store both are: a real S3 server that runs on the
same cores, so what it costs is in the figures. Requests are counted by what stands between it and the run, and told a
photo. All ways take their turn, round after round, each in a fresh data root with all defaults of RetrainFlowers.
"""

import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from upath import UPath

from tests.benchmarks.nothing_to_do import link
from tests.benchmarks.table import Table, parser, tell
from tests.pipeline.command import luigi
from tests.support.servers.gateway import Gateway
from tests.support.servers.object_store import ObjectStore, serving

STATES = ("cold", "1 % new", "nothing to do")


@dataclass(frozen=True)
class Way:
    """An engine on a data root.

    Args:
        engine: As `--engine` takes it.
        place: What the photos and the data root are below: a folder, or an object store's.
    """

    engine: str
    place: str

    def add(self, photos: Sequence[Path], source: Path) -> None:
        """Let the dataset have these photos too."""
        if "://" not in self.place:
            link(photos, source, Path(self.place, "photos"))
            return
        place = UPath(self.place)
        names = [f"{place.path}/photos/{photo.relative_to(source)}" for photo in photos]
        place.fs.put([str(photo) for photo in photos], names)

    def run(self) -> float:
        """Run RetrainFlowers; seconds from shell to exit.

        Raises:
            SystemExit: It failed.
        """
        where = {"dataset": f"{self.place}/photos", "data-root": f"{self.place}/data", "engine": self.engine}
        started = time.perf_counter()
        done = luigi("RetrainFlowers", where)
        if done.code:
            raise SystemExit(f"{self} failed: {done.errors}")
        return time.perf_counter() - started


def time_ways(
    source: Path, ways: Mapping[str, Way], gateway: Gateway
) -> tuple[dict[str, float], dict[str, Counter[str]]]:
    """Make each way's three runs; seconds of each, and the requests of those on the object store."""
    files = sorted(source.glob("*/*.*"))
    new = files[50::100]
    seconds, requests = {}, {}
    for state, added in zip(STATES, ([file for file in files if file not in set(new)], new, []), strict=True):
        for name, way in ways.items():
            way.add(added, source)
            with gateway.counting() as counted:
                seconds[f"{name}: {state}"] = way.run()
            if counted:
                requests[f"{name}: {state}"] = counted
    return seconds, requests


def main() -> None:
    """Measure, print a table, and write it as JSON."""
    options = parser(__doc__)
    options.add_argument("--source", type=Path, default=Path("../shared/flower_photos"), help="Folder of photos.")
    options.add_argument("--engines", nargs="+", default=["local", "ray"], help="As `--engine` takes them.")
    arguments = options.parse_args()
    rows: dict[str, list[float]] = {}
    requests: Mapping[str, Mapping[str, int]] = {}
    with serving() as server, Gateway(server.port).serving() as gateway, tempfile.TemporaryDirectory() as folder:
        os.environ.update({**server.environment, "AWS_ENDPOINT_URL": gateway.address})
        for number in range(arguments.repeat):
            ways = _ways(arguments.engines, Path(folder, f"{number}"), server)
            seconds, requests = time_ways(arguments.source, ways, gateway)
            for name, each in seconds.items():
                rows.setdefault(name, []).append(each)
    title = f"{len(list(arguments.source.glob('*/*.*'))):,} photos, from shell to exit"
    first = next(iter(rows))
    for state, counted in requests.items():
        sys.stdout.write(f"{state}: {', '.join(f'{kind} {count:,}' for kind, count in counted.items())}\n")
    tell([Table("data_roots", title, "s", first, rows, less_is_better=True)], arguments.output, requests=requests)


def _ways(engines: Sequence[str], folder: Path, server: ObjectStore) -> dict[str, Way]:
    places: dict[str, Callable[[str], str]] = {"disk": lambda engine: str(folder / engine), "object store": server.url}
    return {f"{engine}, {where}": Way(engine, place(engine)) for engine in engines for where, place in places.items()}


if __name__ == "__main__":
    main()
