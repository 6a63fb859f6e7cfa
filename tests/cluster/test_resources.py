"""Sharing out a cluster: no actor is larger than a machine, and as little as possible stays idle."""

import pytest

from tasks.cluster.resources import Node, Pool, fit_pool, rows_of_block


@pytest.mark.parametrize(
    ("cpus", "most", "pool"),
    [
        ([1], 4, Pool(1, 1, 0)),
        ([2], 4, Pool(1, 2, 0)),
        ([2], 1, Pool(2, 1, 0)),
        ([3, 3], 4, Pool(2, 3, 0)),
        ([5], 4, Pool(5, 1, 0)),
        ([64, 64], 4, Pool(32, 4, 0)),
        ([0, 2, 4], 4, Pool(3, 2, 0)),
        ([0], 4, Pool(0, 1, 0)),
        ([], 4, Pool(0, 1, 0)),
        ([0.5], 4, Pool(0, 1, 0)),
    ],
)
def test_actors_leave_no_processor_idle_and_are_as_large_as_that_allows(
    cpus: list[float], most: int, pool: Pool
) -> None:
    assert fit_pool([Node(count, 0) for count in cpus], most, 0) == pool


@pytest.mark.parametrize(
    ("nodes", "gpus", "pool"),
    [
        ([Node(8, 1)], 1, Pool(1, 4, 1)),
        ([Node(8, 4)], 1, Pool(4, 2, 1)),
        ([Node(2, 4)], 1, Pool(2, 1, 1)),
        ([Node(8, 1)], 0.5, Pool(2, 4, 0.5)),
        ([Node(8, 1)], 0.1, Pool(8, 1, 0.1)),
        ([Node(64, 0), Node(4, 1)], 1, Pool(1, 4, 1)),
        ([Node(64, 0)], 1, Pool(0, 4, 1)),
        ([Node(8, 1)], 2, Pool(0, 4, 2)),
    ],
)
def test_gpus_are_in_use_before_processors_are(nodes: list[Node], gpus: float, pool: Pool) -> None:
    assert fit_pool(nodes, 4, gpus) == pool


@pytest.mark.parametrize(
    ("rows", "actors", "size"),
    [(10**6, 2, 512), (512, 1, 128), (2000, 2, 250), (40, 2, 64), (10**6, 10**4, 64), (100, 0, 100)],
)
def test_blocks_are_enough_for_all_actors_and_no_smaller_than_worth_a_shard(rows: int, actors: int, size: int) -> None:
    assert rows_of_block(rows, actors, 512, 64) == size
