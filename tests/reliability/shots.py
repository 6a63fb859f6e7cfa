"""Where and how runs are killed: at chosen places and at any moment, spread over a whole run."""

import bisect
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: Before, after: the process is killed from within, as exactly as an audit event can. Later: from outside, a moment on.
WAYS = ("before", "after", "later")
#: Seconds from a place to a kill from outside at most: a run that goes on from a killed one is faster than it was.
LATEST_SECONDS = 8.0


@dataclass(frozen=True)
class Shot:
    """Where and how a run is killed.

    Args:
        places: Events on a path, as `tests/reliability/inject` has them: the first that is met counts. A run that goes
            on from a killed one may be beyond the one that is meant, so what is published after it is named too.
        way: One of `WAYS`.
        whom: `group`, every process at once, or `main`, the one that was started.
        delay: Of `later`: how many seconds.
    """

    places: tuple[str, ...]
    way: str
    whom: str = "group"
    delay: float = 0.0


def choose_shots(places: Mapping[str, float], count: int, seed: int) -> list[Shot]:
    """Spread shots over a run: two of three over its places, so that each stage's have their turn, one over its time.

    Args:
        places: Where an undisturbed run came by, and when.
        count: How many shots.
        seed: Of what is drawn: the exact times, and which kill the main process alone.

    Returns:
        The shots, in the order in which a run comes to them.
    """
    draw = random.Random(seed)  # noqa: S311 (nothing is secret here)
    order, times = list(places), list(places.values())
    moments = count // 3
    shots: list[tuple[float, Shot]] = []
    for number in range(count - moments):
        half = int((number + draw.random()) * 2 * len(order) / (count - moments))
        index, way = half // 2, ("before", "after")[half % 2]
        shots.append((times[index], Shot(_from(order, index), way, _whom(draw))))
    for number in range(moments):
        # Only some of a run's places may be asked for, and the first of them come late.
        moment = times[0] + (number + draw.random()) * (times[-1] - times[0]) / moments
        index = bisect.bisect_right(times, moment) - 1
        shots.append(
            (moment, Shot(_from(order, index), "later", _whom(draw), min(moment - times[index], LATEST_SECONDS)))
        )
    return [shot for _, shot in sorted(shots, key=lambda shot: shot[0])]


def _from(order: Sequence[str], index: int) -> tuple[str, ...]:
    # Each start clears up, so that what is removed late in one run is removed early in the next.
    return order[index], *(place for place in order[index + 1 :] if place.startswith(("os.rename ", "PUT ")))


def _whom(draw: random.Random) -> str:
    return draw.choice(("group", "group", "main"))
