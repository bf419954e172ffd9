"""An iterator that works ahead in a thread of its own, so that the stages of a build overlap."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator
from dataclasses import dataclass
from typing import Generic, TypeVar

_T = TypeVar("_T")
_POLL_SECONDS = 0.1
_PATIENCE_SECONDS = 10.0
"""A thread that is in the middle of something uninterruptible is not waited for longer."""


class Stopped(Exception):  # noqa: N818 - no error: the consumer has had enough
    """Raised inside a producer that works for nobody any more."""


class Stop:
    """Tells a producer whether anybody still wants what it makes."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Say that nobody does."""
        self._event.set()

    def check(self) -> None:
        """Raise :class:`Stopped` if nobody does."""
        if self._event.is_set():
            raise Stopped


@dataclass(frozen=True, slots=True)
class _Entry(Generic[_T]):
    """An item, or (without items) the end, with the error that it came with."""

    items: tuple[_T, ...] = ()
    error: BaseException | None = None


def ahead(
    items: Generator[_T, None, None], stop: Stop | None = None, consumer: Stop | None = None
) -> Generator[_T, None, None]:
    """Yield what ``items`` yields, made in another thread, one finished item ahead.

    An exception of ``items`` comes out here, after the items before it. When the consumer leaves early (an exception,
    Ctrl-C), the thread is told to stop and waited for a little.

    Parameters
    ----------
    items
        Is only touched by the thread from now on, which also closes it.
    stop
        Is set when the consumer leaves; what runs inside of ``items`` may check it now and then.
    consumer
        The stop of the thread that consumes, where that is such a thread itself: waiting ends when it is set.

    Examples
    --------
    >>> list(ahead(letter for letter in "abc"))
    ['a', 'b', 'c']
    """
    mine = stop or Stop()
    waiting: queue.Queue[_Entry[_T]] = queue.Queue(maxsize=1)
    thread = threading.Thread(target=_produce, args=(items, waiting, mine), daemon=True, name="colstore-ahead")
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
        mine.set()
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
