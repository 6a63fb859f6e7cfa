"""Places and moments at which runs are killed, spread over a whole run."""

import bisect
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: Before or after an event the process kills itself, as exactly as an audit event can; later it is killed from outside.
WAYS = ("before", "after", "later")
#: Longest delay of a kill from outside in seconds: a run that continues a killed one is faster than that one.
MAX_DELAY = 8.0


@dataclass(frozen=True)
class KillPoint:
    """A place at which a run is killed."""

    #: Events on a path, as `tests/reliability/inject` writes them: the first that is met counts. A run that continues a
    #: killed one may be beyond the first of them, so everything that is published later follows.
    places: tuple[str, ...]
    way: str  #: One of `WAYS`.
    target: str = "group"  #: `group`, every process at once, or `main`, the one that was started.
    delay: float = 0.0  #: Seconds between the place and a kill `later`.


def choose_points(places: Mapping[str, float], count: int, seed: int = 0) -> list[KillPoint]:
    """Spread kill points over a run: two thirds over its places, so that each stage has some, a third over its time.

    Args:
        places: The places of an undisturbed run, and when it met them.
        count: Number of points.
        seed: Seed of the draw of exact moments and targets.

    Returns:
        The points in the order in which a run meets them.
    """
    source = random.Random(seed)  # noqa: S311 (nothing is secret here)
    order, times = list(places), list(places.values())
    moments = count // 3
    points: list[tuple[float, KillPoint]] = []
    for number in range(count - moments):
        index, half = divmod(int((number + source.random()) * 2 * len(order) / (count - moments)), 2)
        points.append((times[index], KillPoint(_from(order, index), WAYS[half], _target(source))))
    for number in range(moments):
        # The places may be those of a part of a run, whose first one comes late.
        moment = times[0] + (number + source.random()) * (times[-1] - times[0]) / moments
        index = bisect.bisect_right(times, moment) - 1
        delay = min(moment - times[index], MAX_DELAY)
        points.append((moment, KillPoint(_from(order, index), "later", _target(source), delay)))
    return [point for _, point in sorted(points, key=lambda point: point[0])]


def _from(order: Sequence[str], index: int) -> tuple[str, ...]:
    # Publications only: each start cleans up, so a late removal of one run is an early one of the next.
    return order[index], *(place for place in order[index + 1 :] if place.startswith(("os.rename ", "PUT ")))


def _target(source: random.Random) -> str:
    return source.choice(("group", "group", "main"))
