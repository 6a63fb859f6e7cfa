"""What the program that drives Ray, and the one that started it, say to each other."""

from typing import NamedTuple

import pyarrow as pa

from tasks.cluster.actor import ActorLocation, Work
from tasks.cluster.resources import Node, Pool


class Address(NamedTuple):
    """Which cluster is meant.

    Args:
        address: As Ray takes it; empty starts one on this machine.
        cpus: Processors of one that is started.
        folder: Where it keeps its files.
    """

    address: str
    cpus: int
    folder: str


class Ready(NamedTuple):
    """The cluster answers."""

    nodes: list[Node]


class ClusterTask(NamedTuple):
    """What is to be done on it.

    Args:
        work: The work on a block.
        place: For whom.
        blocks: The blocks, in the order in which they are begun.
        pool: The actors.
    """

    work: Work
    place: ActorLocation
    blocks: list[pa.Table]
    pool: Pool


class BlockResult(NamedTuple):
    """What came of a block: its pickled result, or `Failure`."""

    pickled: bytes


class Failed(NamedTuple):
    """The cluster cannot be used, or no longer.

    Args:
        why: In Ray's words.
    """

    why: str


class Finished(NamedTuple):
    """All blocks are done."""
