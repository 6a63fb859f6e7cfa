"""Work in threads keeps the order, takes few items ahead, and ends when the caller stops."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator

import pytest

from tasks.concurrency import WAITING, BackgroundWriter, map_ordered, prefetch
from tests.support.processes import TIMEOUT, until

WAIT = 0.05


def no_sixth(items: Iterable[int]) -> Iterator[int]:
    for item in items:
        if item == 5:
            raise ValueError("no sixth")
        yield item


def fail_at_five(item: int) -> int:
    return next(no_sixth([item]))


#: Both ways to work on items, the second one of which may fail at the sixth.
WAYS: list[Callable[[Iterable[int]], Iterator[int]]] = [
    lambda items: prefetch(no_sixth(items), 3),
    lambda items: map_ordered(fail_at_five, items, 3),
]


@pytest.mark.parametrize("way", WAYS)
def test_results_come_in_order_before_an_error_which_ends_the_threads(
    way: Callable[[Iterable[int]], Iterator[int]],
) -> None:
    threads = set(threading.enumerate())
    assert list(way(range(5))) == [0, 1, 2, 3, 4]
    assert list(way([])) == []
    done = way(range(100))
    assert [next(done) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="no sixth"):
        next(done)
    assert set(threading.enumerate()) <= threads


@pytest.mark.parametrize("way", WAYS)
def test_threads_end_when_the_caller_stops(way: Callable[[Iterable[int]], Iterator[int]]) -> None:
    threads = set(threading.enumerate())
    for item in way(range(100)):
        if item == 3:
            break
    assert set(threading.enumerate()) <= threads


def test_prefetch_runs_ahead_as_far_as_its_depth_and_no_further() -> None:
    made: list[int] = []
    allowed = 0

    def items() -> Iterator[int]:
        for item in range(20):
            made.append(item)
            yield item

    def is_ahead() -> bool:
        return len(made) >= allowed

    for item in prefetch(items(), 3):
        allowed = min(item + 4, 20)  # this one and three more
        until(is_ahead)
        time.sleep(WAIT if item < 4 else 0)  # time to run too far
        assert len(made) == allowed


def test_the_slowest_items_keep_their_places() -> None:
    def slowest_first(item: int) -> int:
        time.sleep(0.02 if item % 4 == 0 else 0)
        return -item

    assert list(map_ordered(slowest_first, range(50), 4)) == [-item for item in range(50)]


def test_threads_work_in_parallel() -> None:
    both = threading.Barrier(2, timeout=TIMEOUT)
    assert list(map_ordered(lambda _: both.wait() >= 0, range(2), 2)) == [True, True]


def test_few_items_are_taken_ahead() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(20):
            taken.append(item)
            yield item

    for done, _ in enumerate(map_ordered(str, items(), 2), start=1):
        assert len(taken) == min(done + 2 * (1 + WAITING) - 1, 20)


def test_heavy_items_start_only_if_there_is_room_or_alone() -> None:
    weights = [1, 1, 1, 3, 9, 9, 1, 1, 1, 1, 1]
    begun, done = list[int](), list[int]()

    def weigh(place: int) -> int:
        return weights[place]

    def begin(place: int) -> int:
        begun.append(place)
        return place

    for place in map_ordered(begin, range(len(weights)), 4, weigh, 4):
        done.append(place)
        time.sleep(WAIT / 5)  # time to run too far
        assert sum(map(weigh, begun)) - sum(map(weigh, done)) <= max(4, *map(weigh, begun[len(done) :]), 0)
    assert done == list(range(len(weights)))


def test_item_that_needs_all_room_starts_while_the_caller_uses_the_result_before() -> None:
    begun: list[int] = []
    first = map_ordered(begun.append, range(3), 4, lambda _: 9, 4)
    next(first)
    until(lambda: len(begun) >= 2)
    time.sleep(WAIT)
    assert begun == [0, 1]


def test_failure_comes_after_the_results_before_it_where_room_is_short() -> None:
    def fail_at_one(item: int) -> int:
        if item == 1:
            raise ValueError("no second")
        return item

    done = map_ordered(fail_at_one, range(9), 3, lambda item: 1 + 3 * (item == 2), 4)
    assert next(done) == 0
    with pytest.raises(ValueError, match="no second"):
        next(done)


def test_background_writer_runs_calls_in_order() -> None:
    threads, go_on, done = set(threading.enumerate()), threading.Event(), list[int]()
    with BackgroundWriter() as writer:
        writer.do(go_on.wait, 5)
        assert not done
        go_on.set()
        for number in range(3):
            writer.do(done.append, number)
        writer.wait()
        assert done == [0, 1, 2]
    assert set(threading.enumerate()) <= threads


def test_background_writer_raises_a_failure_at_the_next_call() -> None:
    done: list[int] = []
    with BackgroundWriter() as writer:
        writer.do(int, "none")
        with pytest.raises(ValueError, match="none"):
            writer.do(done.append, 1)
    assert not done
