"""What bounds so many photos first, and what to turn on: the plan of `tests.benchmarks.plan`, by arithmetic alone."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from tasks.snapshot.photos import COLUMN_BYTES
from tests.benchmarks.sizing import COLD, FOLDS, NIGHT, Given, Line, Run, Slopes, alone, held, run, spread

#: Keys of 64 digits that one column of arrow's strings holds, whose digits are counted in 31 bits; likewise the
#: probabilities in one column of lists.
MOST_KEYS, MOST_NUMBERS = COLUMN_BYTES // 64, 2**31 - 1
#: The most photos that are looked at for what a bound allows.
_MOST = 10**13
#: Seconds a night that looks at small shards may take before it is worth merging them.
_SHARDS_SECONDS = 60.0
#: How much of a night what one machine does alone may take, so that the rest has some too.
_ALONE = 0.5


class Bound(NamedTuple):
    """Something that there is only so much of.

    Args:
        name: What.
        used: How much of it so many photos take; never falls.
        allowed: How much there is.
        spread: Whether more machines help.
    """

    name: str
    used: Callable[[float], float]
    allowed: float
    spread: bool = False

    def reach(self) -> int:
        """The most photos that it allows."""
        low, high = 0, _MOST
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.used(middle) <= self.allowed else (low, middle - 1)
        return low


@dataclass(frozen=True)
class Plan:
    """What so many photos take.

    Args:
        photos: How many.
        bytes: Stored, their own files among them.
        shards: That a cold run leaves.
        memory: Of the driving process at its peak.
        month: What is stored costs a month, USD.
        cold: The first run.
        night: One with 1 % new photos.
        bound: What breaks or bounds first, of what does so with fewer photos; None where nothing does.
        stays: The same of what more machines do not help.
        turn_on: What lets it go on.
    """

    photos: int
    bytes: float
    shards: float
    memory: float
    month: float
    cold: Run
    night: Run
    bound: str | None
    stays: str | None
    turn_on: Sequence[str]


def bounds(slopes: Slopes, given: Given) -> dict[Bound, int]:
    """Whatever there is only so much of, and how many photos that allows; what allows fewest first."""

    def hours(state: str) -> Callable[[float], float]:
        return lambda photos: run(slopes, given, photos, state).hours

    longest = max(slopes.alone, key=lambda name: slopes.alone[name].each)
    found = [
        Bound("keys in one column", float, MOST_KEYS),
        Bound("probabilities in one column", Line(0, slopes.labels).at, MOST_NUMBERS),
        *(Bound(f"memory ({part})", own.at, given.memory) for part, own in held(slopes, given).items()),
        Bound(
            f"half a night for one machine ({longest})",
            lambda photos: run(slopes, given, photos, NIGHT).alone,
            _ALONE * given.hours,
        ),
        Bound("a night", hours(NIGHT), given.hours, spread=True),
        Bound("the first run in a night", hours(COLD), given.hours, spread=True),
    ]
    reaches = {bound: bound.reach() for bound in found}
    return dict(sorted(reaches.items(), key=lambda item: item[1]))


def plan(slopes: Slopes, given: Given, photos: int) -> Plan:
    """Say what so many photos take, what bounds them first, and what to turn on."""
    reached = [bound for bound, reach in bounds(slopes, given).items() if reach < photos]
    stored = sum(own.at(photos) for own in slopes.bytes.values())
    return Plan(
        photos=photos,
        bytes=stored,
        shards=slopes.shards.at(photos),
        memory=max(own.at(photos) for own in held(slopes, given).values()),
        month=stored / 1e9 * given.prices.gb_month,
        cold=run(slopes, given, photos, COLD),
        night=run(slopes, given, photos, NIGHT),
        bound=next((bound.name for bound in reached), None),
        stays=next((bound.name for bound in reached if not bound.spread), None),
        turn_on=list(_turn_on(slopes, given, photos)),
    )


def _turn_on(slopes: Slopes, given: Given, photos: int) -> Iterator[str]:
    if slopes.shards.at(photos) * slopes.shard_seconds > _SHARDS_SECONDS:
        yield "compact"
    if run(slopes, given, photos, NIGHT).alone > _ALONE * given.hours:
        yield "--folds 0"
        slopes = replace(slopes, alone={name: own for name, own in slopes.alone.items() if name != FOLDS})
    datasets = math.ceil(photos / _whole(slopes, given))
    machines = machines_for(slopes, given, photos, datasets)
    if machines > max(given.machines, datasets):
        # The blocks that are handed to a cluster take memory too.
        datasets = math.ceil(photos / _whole(slopes, replace(given, machines=machines)))
        yield f"Ray, {machines_for(slopes, given, photos, datasets):,} machines"
    if datasets > 1:
        yield f"{datasets:,} datasets"


def _whole(slopes: Slopes, given: Given) -> int:
    """The most photos that one dataset may have, however many machines there are."""
    return next(reach for bound, reach in bounds(slopes, given).items() if not bound.spread)


def machines_for(slopes: Slopes, given: Given, photos: float, datasets: int) -> int:
    """Machines that decode and embed the first run of so many datasets in what the rest leaves of one night."""
    own = photos / datasets
    left = max(given.hours * 3600 - alone(slopes, given, own, own), (1 - _ALONE) * given.hours * 3600)
    return max(datasets, math.ceil(datasets * spread(slopes, own) / (given.cores * left)))
