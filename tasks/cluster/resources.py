"""How many actors a cluster has room for, and how much of it each gets."""

import math
from collections.abc import Sequence
from typing import NamedTuple


class Node(NamedTuple):
    """What a machine of the cluster has.

    Args:
        cpus: Processors that Ray may use.
        gpus: GPUs that it may use.
    """

    cpus: float
    gpus: float


class Pool(NamedTuple):
    """How the work is spread.

    Args:
        actors: How many there is room for now; 0 where none has room.
        cpus: Processors of each.
        gpus: GPUs of each; may be a part of one.
    """

    actors: int
    cpus: int
    gpus: float


def fit(nodes: Sequence[Node], most_cpus: int, gpus: float) -> Pool:
    """Choose the processors of an actor so that as few as can be stay idle; of choices that are as good, the largest.

    An actor is never larger than a machine: Ray would wait for a larger one for ever.

    Args:
        nodes: The machines.
        most_cpus: Processors that one actor can use at most.
        gpus: GPUs that each needs.
    """
    sizes = [Pool(sum(_room(node, cpus, gpus) for node in nodes), cpus, gpus) for cpus in range(1, most_cpus + 1)]
    if gpus:
        # What is scarce is in use first.
        return max(sizes, key=lambda pool: (pool.actors, pool.cpus))
    # A pool without an actor is the smallest one: whatever machine comes has room for it.
    return max(sizes, key=lambda pool: (pool.actors * pool.cpus, pool.cpus if pool.actors else -pool.cpus))


def _room(node: Node, cpus: int, gpus: float) -> int:
    room = math.floor(node.cpus / cpus)
    return min(room, math.floor(node.gpus / gpus + 1e-9)) if gpus else room


def rows_of_block(rows: int, actors: int, most: int, least: int) -> int:
    """Rows of a block: at most what is published as one, and fewer where actors would be idle else.

    Args:
        rows: All there are.
        actors: Those that work on them.
        most: Of a block.
        least: Of a block, however many actors there are: each block is published by itself.
    """
    # Several for each actor: one that is slow, or begins late, is left fewer.
    return max(least, min(most, math.ceil(rows / max(4 * actors, 1))))
