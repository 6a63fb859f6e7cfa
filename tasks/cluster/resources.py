"""Shares a cluster out: the number of actors, the resources of each, and the size of blocks."""

import math
from collections.abc import Sequence
from typing import NamedTuple


class Node(NamedTuple):
    """A machine of a cluster: the processors and GPUs that Ray may use."""

    cpus: float
    gpus: float


class Pool(NamedTuple):
    """Actors of one size."""

    actors: int  #: Number of actors that the cluster has room for now, possibly 0.
    cpus: int  #: Processors of each.
    gpus: float  #: GPUs of each, possibly a fraction.


def fit_pool(nodes: Sequence[Node], most_cpus: int, gpus: float) -> Pool:
    """Choose the processors of an actor so that the fewest stay idle; of equally good choices, the largest actor.

    An actor is never larger than a machine: Ray would wait for a larger one forever.
    `most_cpus` is the largest number of processors that one actor can use; `gpus` is the number that each needs.
    """
    pools = [Pool(sum(_room(node, cpus, gpus) for node in nodes), cpus, gpus) for cpus in range(1, most_cpus + 1)]
    if gpus:
        # GPUs are scarce: they are in use first.
        return max(pools, key=lambda pool: (pool.actors, pool.cpus))
    # A pool without actors has the smallest ones: any machine that joins has room for them.
    return max(pools, key=lambda pool: (pool.actors * pool.cpus, pool.cpus if pool.actors else -pool.cpus))


def _room(node: Node, cpus: int, gpus: float) -> int:
    room = math.floor(node.cpus / cpus)
    return min(room, math.floor(node.gpus / gpus + 1e-9)) if gpus else room


def rows_of_block(rows: int, actors: int, most: int, least: int) -> int:
    """Number of rows of a block: at most those of a shard, and fewer if actors would be idle otherwise.

    There are never fewer than `least`, however many actors there are: each block is published by itself.
    """
    # Four blocks for each actor: a slow or late one gets fewer.
    return max(least, min(most, math.ceil(rows / max(4 * actors, 1))))
