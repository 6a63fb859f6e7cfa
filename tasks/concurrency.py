"""Work in threads, ahead of the caller or in parallel, with results in the order of the items."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any, Self, TypeVar

#: Items that wait for each thread, so that none idles while the next item is made.
WAITING = 2

ItemT = TypeVar("ItemT")
DoneT = TypeVar("DoneT")


def prefetch(items: Iterable[ItemT], depth: int) -> Iterator[ItemT]:
    """Compute up to `depth` items ahead in a thread, and yield them in order."""
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1) as pool:
        ahead = deque(pool.submit(next, iterator, end) for _ in range(depth))
        while (item := ahead.popleft().result()) is not end:
            ahead.append(pool.submit(next, iterator, end))
            yield item  # type: ignore[misc]  # the sentinel never gets here


def map_ordered(
    work: Callable[[ItemT], DoneT],
    items: Iterable[ItemT],
    threads: int,
    weigh: Callable[[ItemT], int] = lambda _: 0,
    room: int = 0,
) -> Iterator[DoneT]:
    """Apply a function to items in several threads, and yield the results in order.

    Args:
        work: Function of an item, called in several threads at once.
        items: Items, taken in the caller's thread, at most `WAITING` per thread ahead of those in work.
        threads: Number of threads.
        weigh: Weight of an item's result, such as its bytes.
        room: Largest total weight of the results that are in work or wait to be yielded. An item that weighs more is
            worked on alone, beside the result that the caller has.
    """
    under_way: deque[tuple[int, Future[DoneT]]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        for item in items:
            weight = weigh(item)
            last: Future[DoneT] | None = None
            while under_way and sum(each for each, _ in under_way) + weight > room:
                if last:
                    yield last.result()
                last = under_way.popleft()[1]
                wait([last])
            under_way.append((weight, pool.submit(work, item)))
            # After the submit, so that a thread works while the caller uses the result.
            if last:
                yield last.result()
            if len(under_way) == threads * (1 + WAITING):
                yield under_way.popleft()[1].result()
        while under_way:
            yield under_way.popleft()[1].result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class BackgroundWriter:
    """Runs one call after the other in a thread, while the caller goes on.

    `do` and `wait` wait for the call before, and raise its exception. The thread ends with the block, which raises no
    exception of the last call: `wait` does.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._under_way: Future[Any] | None = None

    def do(self, work: Callable[..., object], *arguments: object) -> None:
        """Wait for the call before, then start this one."""
        self.wait()
        self._under_way = self._thread.submit(work, *arguments)

    def wait(self) -> None:
        """Wait until no call is running."""
        if self._under_way is not None:
            self._under_way.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._thread.shutdown()
