"""What a run over so many photos takes, by what was measured of few: hours, requests, memory and money.

Only arithmetic: `tests.benchmarks.slopes` measures.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

COLD, NIGHT, NOTHING = "cold", "1 % new", "nothing to do"
#: What a run may leave out.
FOLDS = "cross-validation"
#: The part of a run that is there only where several machines work.
RAY = "blocks for Ray"
#: Requests that cost as little as reading does; those that remove cost nothing.
_CHEAP, _FREE = {"GET", "HEAD"}, {"DELETE"}
#: The share of the photos that are new on a night.
_NEW = 0.01


class Line(NamedTuple):
    """What grows with photos.

    Args:
        least: What it is with none.
        each: What each photo adds.
    """

    least: float
    each: float

    def at(self, photos: float) -> float:
        """What it is with so many photos."""
        return self.least + self.each * photos

    def times(self, factor: float) -> "Line":
        """So many times as much."""
        return Line(self.least * factor, self.each * factor)


def line(measured: Mapping[int, float]) -> Line:
    """The line from the fewest photos to the most; a fall, or less than nothing with none, is noise."""
    fewest, most = min(measured), max(measured)
    each = max(measured[most] - measured[fewest], 0.0) / (most - fewest)
    return Line(max(measured[fewest] - each * fewest, 0.0), each)


@dataclass(frozen=True)
class Slopes:
    """What was measured.

    Args:
        hashing: Core seconds of the driving machine, by new photos.
        summed: Seconds of the driving machine, by new photos: the statistics of their bottlenecks.
        spread: Core seconds of any machine, by new photos: decode and bottleneck.
        alone: Seconds of the driving machine, by all photos, each night.
        startup: Seconds of a run that are no work.
        bytes: What is stored, by all photos.
        shards: Shards that a cold run leaves.
        shard_seconds: Seconds of a night that each shard adds.
        requests: Of each kind, by all photos, of a run of each state.
        base: Bytes that the driving process holds whatever the number of photos.
        memory: Bytes that it holds beside at most, by all photos, in each part of a run.
        labels: Labels of the photos.
    """

    hashing: Line
    summed: Line
    spread: Mapping[str, Line]
    alone: Mapping[str, Line]
    startup: float
    bytes: Mapping[str, Line]
    shards: Line
    shard_seconds: float
    requests: Mapping[str, Mapping[str, Line]]
    base: float
    memory: Mapping[str, Line]
    labels: int


@dataclass(frozen=True)
class Prices:
    """USD.

    Args:
        gb_month: A GB on the store for a month.
        put_1000: 1,000 requests that write or list.
        get_1000: 1,000 that read.
        machine_hour: A machine for an hour.
    """

    gb_month: float = 0.023
    put_1000: float = 0.005
    get_1000: float = 0.0004
    machine_hour: float = 0.81

    def requests(self, counts: Mapping[str, float]) -> float:
        """What requests cost, by kind."""
        dear = sum(count for kind, count in counts.items() if kind not in _CHEAP | _FREE)
        return (dear * self.put_1000 + sum(counts.get(kind, 0) for kind in _CHEAP) * self.get_1000) / 1000


@dataclass(frozen=True)
class Given:
    """What there is to work with.

    Args:
        machines: How many; all work on decode and bottleneck, the rest stays on the one that drives.
        cores: Of each.
        memory: Of the one that drives, in bytes.
        hours: Of a night.
        prices: What things cost.
    """

    machines: int = 1
    cores: int = 16
    memory: float = 64e9
    hours: float = 8.0
    prices: Prices = field(default_factory=Prices)


class Run(NamedTuple):
    """What one run takes.

    Args:
        hours: From start to end.
        alone: Those of them on the driving machine alone.
        requests: On the store.
        cost: Of machines and requests, USD.
    """

    hours: float
    alone: float
    requests: float
    cost: float


def run(slopes: Slopes, given: Given, photos: float, state: str) -> Run:
    """What the first run takes, or one of a night."""
    new = photos if state == COLD else photos * _NEW
    driving = alone(slopes, given, photos, new)
    together = spread(slopes, new) / (given.cores * given.machines)
    counts = {kind: own.at(photos) for kind, own in slopes.requests[state].items()}
    # The machines of a cluster are paid for while it works; the driving one for the whole run.
    paid = (driving + together * given.machines) / 3600 * given.prices.machine_hour
    return Run((driving + together) / 3600, driving / 3600, sum(counts.values()), paid + given.prices.requests(counts))


def held(slopes: Slopes, given: Given) -> dict[str, Line]:
    """Bytes that the driving process holds at most in each part of a run, by all photos."""
    parts = {name: part for name, part in slopes.memory.items() if name != RAY or given.machines > 1}
    return {name: Line(slopes.base + part.least, part.each) for name, part in parts.items()}


def alone(slopes: Slopes, given: Given, photos: float, new: float) -> float:
    """Seconds of the driving machine alone."""
    looked = slopes.shards.at(photos) * slopes.shard_seconds
    hashed = slopes.hashing.at(new) / given.cores
    every_night = sum(own.at(photos) for own in slopes.alone.values())
    return slopes.startup + looked + hashed + slopes.summed.at(new) + every_night


def spread(slopes: Slopes, new: float) -> float:
    """Core seconds of what any machine can do."""
    return sum(own.at(new) for own in slopes.spread.values())


def read(values: Mapping[str, Any]) -> Slopes:
    """Slopes as `dataclasses.asdict` and JSON leave them."""
    return Slopes(
        **{
            **values,
            **{name: Line(*values[name]) for name in ("hashing", "summed", "shards")},
            **{name: _lines(values[name]) for name in ("spread", "alone", "bytes", "memory")},
            "requests": {state: _lines(kinds) for state, kinds in values["requests"].items()},
        }
    )


def _lines(values: Mapping[str, Any]) -> dict[str, Line]:
    return {name: Line(*own) for name, own in values.items()}
