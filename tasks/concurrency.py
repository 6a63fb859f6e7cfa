"""Work done ahead, or side by side, in threads; results come in the order of the items all the same."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any, Self, TypeVar

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


def map_ordered(
    work: Callable[[ItemT], DoneT],
    items: Iterable[ItemT],
    threads: int,
    weigh: Callable[[ItemT], int] = lambda _: 0,
    room: int = 0,
) -> Iterator[DoneT]:
    """Work on items in several threads, and yield what came of them in order.

    Args:
        work: What to do with an item; several threads call it at once.
        items: Taken in the caller's thread, and no more than `WAITING` for each thread ahead of those worked on.
        threads: How many.
        weigh: How much room what comes of an item takes.
        room: Of all together that are under way or wait to be yielded. One that needs more is under way alone, beside
            the one that the caller has.
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
            # Only now, or nothing might be under way while the caller is at it.
            if last:
                yield last.result()
            if len(under_way) == threads * (1 + WAITING):
                yield under_way.popleft()[1].result()
        while under_way:
            yield under_way.popleft()[1].result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class BackgroundWriter:
    """Does one thing after the other in a thread of its own, while the caller goes on.

    One thing is under way at a time: whoever hands over the next one waits for it, and is raised what it raised. The
    thread ends with the block; what a last thing raised is raised by `wait` alone.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._under_way: Future[Any] | None = None

    def do(self, work: Callable[..., object], *arguments: object) -> None:
        """Wait for the thing before, then begin this one."""
        self.wait()
        self._under_way = self._thread.submit(work, *arguments)

    def wait(self) -> None:
        """Wait until nothing is under way."""
        if self._under_way is not None:
            self._under_way.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._thread.shutdown()
