"""Iterators that work ahead in other threads, so that the stages of a pipeline overlap."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from typing import Generic, TypeVar

_T = TypeVar("_T")
_Result = TypeVar("_Result")
_POLL_SECONDS = 0.1
_PATIENCE_SECONDS = 10.0
"""How long to wait for a thread that is in the middle of something uninterruptible."""


class Stopped(Exception):  # noqa: N818 - not an error: the consumer has left
    """Raised inside a producer whose consumer has left."""


class Stop:
    """Tells a producer whether its consumer is still there."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Say that the consumer has left."""
        self._event.set()

    def check(self) -> None:
        """Raise :class:`Stopped` if the consumer has left."""
        if self._event.is_set():
            raise Stopped


@dataclass(frozen=True, slots=True)
class _Entry(Generic[_T]):
    """An item, or (without items) the end, and the error that ended it."""

    items: tuple[_T, ...] = ()
    error: BaseException | None = None


def ahead(
    items: Generator[_T, None, None], stop: Stop | None = None, consumer: Stop | None = None
) -> Generator[_T, None, None]:
    """Yield what ``items`` yields, made in another thread, one finished item ahead.

    An exception of ``items`` comes out here, after the items before it. When the consumer leaves early (an exception,
    Ctrl-C), the thread is stopped, and waited for up to ten seconds.

    Parameters
    ----------
    items
        From now on used by the other thread alone, which also closes it.
    stop
        Is set when the consumer leaves; the code inside ``items`` may check it from time to time.
    consumer
        The stop of the consuming thread, where that is such a thread itself: waiting ends when it is set.

    Examples
    --------
    >>> list(ahead(letter for letter in "abc"))
    ['a', 'b', 'c']
    """
    stop = stop or Stop()
    waiting: queue.Queue[_Entry[_T]] = queue.Queue(maxsize=1)
    thread = threading.Thread(target=_produce, args=(items, waiting, stop), daemon=True, name="colstore-ahead")
    thread.start()
    try:
        while True:
            entry = _take(waiting, consumer)
            if entry.error is not None:
                raise entry.error
            if not entry.items:
                return
            yield entry.items[0]
    finally:
        stop.set()
        thread.join(_PATIENCE_SECONDS)


def _produce(items: Generator[_T, None, None], waiting: queue.Queue[_Entry[_T]], stop: Stop) -> None:
    last: _Entry[_T] = _Entry()
    try:
        for item in items:
            _put(waiting, _Entry((item,)), stop)
    except Stopped:
        return
    except BaseException as error:
        last = _Entry(error=error)
    finally:
        items.close()
    try:
        _put(waiting, last, stop)
    except Stopped:
        return


def _put(waiting: queue.Queue[_Entry[_T]], entry: _Entry[_T], stop: Stop) -> None:
    while True:
        stop.check()
        try:
            waiting.put(entry, timeout=_POLL_SECONDS)
        except queue.Full:
            continue
        return


def _take(waiting: queue.Queue[_Entry[_T]], consumer: Stop | None) -> _Entry[_T]:
    # With a timeout: on Windows, a wait without one cannot be interrupted by Ctrl-C.
    while True:
        if consumer is not None:
            consumer.check()
        try:
            return waiting.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            continue


def in_order(work: Callable[[_T], _Result], items: Iterable[_T], threads: int) -> Generator[_Result, None, None]:
    """Yield ``work(item)`` for each item, in the items' order, computed by threads a few items ahead.

    Items are taken in the caller's thread, and a single one is worked on there. An exception of ``work`` comes out
    after the results before it.

    Examples
    --------
    >>> list(in_order(str.upper, "abc", threads=2))
    ['A', 'B', 'C']
    """
    rest = iter(items)
    first = list(islice(rest, 2))
    if len(first) < 2 or threads == 1:
        yield from map(work, chain(first, rest))
        return
    pool = ThreadPoolExecutor(threads)
    waiting: deque[Future[_Result]] = deque()
    try:
        for item in chain(first, rest):
            waiting.append(pool.submit(work, item))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
