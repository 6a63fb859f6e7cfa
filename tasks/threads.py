"""Work done ahead, or side by side, in threads; results come in the order of the items all the same."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

#: Items that wait for each thread, so that none is idle while the next one is made.
WAITING = 2

ItemT = TypeVar("ItemT")
DoneT = TypeVar("DoneT")


def prefetch(items: Iterable[ItemT], depth: int) -> Iterator[ItemT]:
    """Compute up to `depth` items ahead in a thread of its own, and yield them in order."""
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1) as pool:
        ahead = deque(pool.submit(next, iterator, end) for _ in range(depth))
        while (item := ahead.popleft().result()) is not end:
            ahead.append(pool.submit(next, iterator, end))
            yield item  # type: ignore[misc]  # the sentinel never gets here


def in_threads(work: Callable[[ItemT], DoneT], items: Iterable[ItemT], threads: int) -> Iterator[DoneT]:
    """Work on items in several threads, and yield what came of them in order.

    Args:
        work: What to do with an item; several threads call it at once.
        items: Taken in the caller's thread, and no more than `WAITING` for each thread ahead of those worked on.
        threads: How many.
    """
    under_way: deque[Future[DoneT]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        for item in items:
            under_way.append(pool.submit(work, item))
            if len(under_way) == threads * (1 + WAITING):
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
