"""Hours, requests, memory and money of runs over any number of photos, computed from what `slopes` measured of few."""

import bisect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from tasks.snapshot.sizes import COLUMN_BYTES
from tests.benchmarks.runs import COLD, NEW

#: The part of a run that may be left out, and the one that exists with several machines only.
FOLDS, RAY = "cross-validation", "blocks for Ray"
#: Keys of 64 digits in one column of arrow's strings, and probabilities in one column of lists.
MAX_KEYS, MAX_NUMBERS = COLUMN_BYTES // 64, 2**31 - 1
#: Requests that cost as little as reading; those that remove cost nothing.
_CHEAP, _FREE = {"GET", "HEAD"}, {"DELETE"}
#: Share of the photos that are new in a later run.
_NEW_SHARE = 0.01
_MAX_PHOTOS = 10**13
#: Seconds that small shards may cost a run before they are worth merging.
_SHARDS_SECONDS = 60.0
#: Share of the hours that the work of one machine may take, so that some is left for the rest.
_SERIAL_SHARE = 0.5


class Line(NamedTuple):
    """A cost that grows with the photos."""

    intercept: float
    slope: float

    def at(self, photos: float) -> float:
        return self.intercept + self.slope * photos

    def times(self, factor: float) -> "Line":
        return Line(self.intercept * factor, self.slope * factor)


def fit_line(measured: Mapping[int, float]) -> Line:
    """Return the line through the costs of the fewest and the most photos; a negative slope or intercept is noise."""
    fewest, most = min(measured), max(measured)
    slope = max(measured[most] - measured[fewest], 0.0) / (most - fewest)
    return Line(max(measured[fewest] - slope * fewest, 0.0), slope)


@dataclass(frozen=True)
class Slopes:
    """Measured costs."""

    hashing: Line  #: Core seconds of the driving machine, by new photos.
    statistics: Line  #: Seconds of the driving machine for the statistics of bottlenecks, by new photos.
    parallel: Mapping[str, Line]  #: Core seconds of any machine for decode and bottleneck, by new photos.
    serial: Mapping[str, Line]  #: Seconds of the driving machine in each run, by all photos.
    startup: float  #: Seconds of a run's setup.
    bytes: Mapping[str, Line]  #: Stored bytes, by all photos.
    shards: Line  #: Shards that a cold run leaves.
    shard_seconds: float  #: Seconds of a run for each shard.
    requests: Mapping[str, Mapping[str, Line]]  #: Requests of a run of each state by kind, by all photos.
    base_memory: float  #: Bytes that the driving process holds whatever the number of photos.
    memory: Mapping[str, Line]  #: Bytes that it holds besides at the peak of each part of a run, by all photos.
    labels: int  #: Number of labels.

    @staticmethod
    def from_json(values: Any) -> "Slopes":
        """Read what `dataclasses.asdict` and JSON wrote."""

        def read(value: Any) -> Any:
            if isinstance(value, dict):
                return {name: read(own) for name, own in value.items()}
            return Line(*value) if isinstance(value, list) else value

        return Slopes(**read(values))

    def driver_memory(self, machines: "Machines") -> dict[str, Line]:
        """Return the bytes that the driving process holds at the peak of each part of a run, by all photos."""
        parts = {name: part for name, part in self.memory.items() if name != RAY or machines.count > 1}
        return {name: Line(self.base_memory + part.intercept, part.slope) for name, part in parts.items()}

    def serial_seconds(self, machines: "Machines", photos: float, new: float) -> float:
        """Return the seconds of a run on the driving machine alone."""
        shards = self.shards.at(photos) * self.shard_seconds
        by_new = self.hashing.at(new) / machines.cores + self.statistics.at(new)
        return self.startup + shards + by_new + sum(line.at(photos) for line in self.serial.values())

    def parallel_seconds(self, new: float) -> float:
        return sum(line.at(new) for line in self.parallel.values())


class Prices(NamedTuple):
    """Prices in USD: a GB for a month, 1,000 requests that write or list, 1,000 that read, a machine for an hour."""

    gb_month: float = 0.023
    put_1000: float = 0.005
    get_1000: float = 0.0004
    machine_hour: float = 0.81

    def requests(self, counts: Mapping[str, float]) -> float:
        dear = sum(count for kind, count in counts.items() if kind not in _CHEAP | _FREE)
        return (dear * self.put_1000 + sum(counts.get(kind, 0) for kind in _CHEAP) * self.get_1000) / 1000


@dataclass(frozen=True)
class Machines:
    """Machines that decode and embed, their cores, the bytes of memory of the driving one, and the hours of a run."""

    count: int = 1
    cores: int = 16
    memory: float = 64e9
    hours: float = 8.0
    prices: Prices = field(default_factory=Prices)


class Run(NamedTuple):
    """Cost of a run: hours, those of them on the driving machine alone, requests, and USD."""

    hours: float
    serial_hours: float
    requests: float
    cost: float


def estimate_run(slopes: Slopes, machines: Machines, photos: float, state: str) -> Run:
    new = photos if state == COLD else photos * _NEW_SHARE
    serial = slopes.serial_seconds(machines, photos, new)
    parallel = slopes.parallel_seconds(new) / (machines.cores * machines.count)
    counts = {kind: line.at(photos) for kind, line in slopes.requests[state].items()}
    # The machines of a cluster are paid for while it works; the driving one for the whole run.
    paid = (serial + parallel * machines.count) / 3600 * machines.prices.machine_hour
    cost = paid + machines.prices.requests(counts)
    return Run((serial + parallel) / 3600, serial / 3600, sum(counts.values()), cost)


class Bound(NamedTuple):
    """A limit."""

    name: str  #: The limited thing.
    used: Callable[[float], float]  #: Its amount for a number of photos; never falls.
    allowed: float  #: Its largest amount.
    scales: bool = False  #: Whether more machines help.

    def reach(self) -> int:
        return max(bisect.bisect_right(range(_MAX_PHOTOS), self.allowed, key=self.used) - 1, 0)


def find_bounds(slopes: Slopes, machines: Machines) -> dict[Bound, int]:
    """Return all limits with the most photos that each allows, the lowest first."""

    def hours(state: str) -> Callable[[float], float]:
        return lambda photos: estimate_run(slopes, machines, photos, state).hours

    longest = max(slopes.serial, key=lambda name: slopes.serial[name].slope)
    bounds = [
        Bound("keys in one column", float, MAX_KEYS),
        Bound("probabilities in one column", Line(0, slopes.labels).at, MAX_NUMBERS),
        *(Bound(f"memory ({part})", line.at, machines.memory) for part, line in slopes.driver_memory(machines).items()),
        Bound(
            f"half the hours on one machine ({longest})",
            lambda photos: estimate_run(slopes, machines, photos, NEW).serial_hours,
            _SERIAL_SHARE * machines.hours,
        ),
        Bound("hours of a run with 1 % new", hours(NEW), machines.hours, scales=True),
        Bound("hours of a cold run", hours(COLD), machines.hours, scales=True),
    ]
    return dict(sorted(((bound, bound.reach()) for bound in bounds), key=lambda item: item[1]))


class Plan(NamedTuple):
    """Needs of so many photos: stored bytes, shards, bytes of memory, USD a month for storage, runs, and remedies."""

    photos: int
    bytes: float
    shards: float
    memory: float
    month: float
    cold: Run
    later: Run
    #: The lowest limit that the photos exceed and more machines do not lift.
    bound: str | None
    turn_on: Sequence[str]


def make_plan(slopes: Slopes, machines: Machines, photos: int) -> Plan:
    stored = sum(line.at(photos) for line in slopes.bytes.values())
    exceeded = (
        bound.name for bound, reach in find_bounds(slopes, machines).items() if reach < photos and not bound.scales
    )
    return Plan(
        photos=photos,
        bytes=stored,
        shards=slopes.shards.at(photos),
        memory=max(line.at(photos) for line in slopes.driver_memory(machines).values()),
        month=stored / 1e9 * machines.prices.gb_month,
        cold=estimate_run(slopes, machines, photos, COLD),
        later=estimate_run(slopes, machines, photos, NEW),
        bound=next(exceeded, None),
        turn_on=list(_remedies(slopes, machines, photos)),
    )


def _remedies(slopes: Slopes, machines: Machines, photos: int) -> Iterator[str]:
    if slopes.shards.at(photos) * slopes.shard_seconds > _SHARDS_SECONDS:
        yield "compact"
    if estimate_run(slopes, machines, photos, NEW).serial_hours > _SERIAL_SHARE * machines.hours:
        yield "--folds 0"
        slopes = replace(slopes, serial={name: line for name, line in slopes.serial.items() if name != FOLDS})
    datasets = math.ceil(photos / _largest_dataset(slopes, machines))
    needed = machines_for(slopes, machines, photos, datasets)
    if needed > max(machines.count, datasets):
        # The blocks that are handed to a cluster take memory too.
        datasets = math.ceil(photos / _largest_dataset(slopes, replace(machines, count=needed)))
        yield f"Ray, {machines_for(slopes, machines, photos, datasets):,} machines"
    if datasets > 1:
        yield f"{datasets:,} datasets"


def _largest_dataset(slopes: Slopes, machines: Machines) -> int:
    return next(reach for bound, reach in find_bounds(slopes, machines).items() if not bound.scales)


def machines_for(slopes: Slopes, machines: Machines, photos: float, datasets: int) -> int:
    each, available = photos / datasets, machines.hours * 3600
    left = max(available - slopes.serial_seconds(machines, each, each), (1 - _SERIAL_SHARE) * available)
    return max(datasets, math.ceil(datasets * slopes.parallel_seconds(each) / (machines.cores * left)))
