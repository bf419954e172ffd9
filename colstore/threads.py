"""How many cores this process may use, and work shared between threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from colstore.values import as_integer

Item = TypeVar("Item")
Result = TypeVar("Result")


def available_cores() -> int:
    """Return how many cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def thread_count(threads: int | None) -> int:
    """Return the number of threads to use; ``None`` takes all available cores.

    Raises
    ------
    ConfigError
        ``threads`` is not an integer of at least 1; there is no -1 for "all cores".
    """
    if threads is None:
        return available_cores()
    return as_integer("threads (None takes all cores)", threads, 1)


def in_threads(work: Callable[[Item], Result], items: Sequence[Item], threads: int | None) -> list[Result]:
    """Return ``work(item)`` for each item, in order.

    Parameters
    ----------
    work
        Called once for each item, from several threads.
    items
        What to work on.
    threads
        Number of threads; ``None`` takes all available cores.

    Raises
    ------
    ConfigError
        ``threads`` is not an integer of at least 1.

    >>> in_threads(str.upper, ["a", "b"], threads=2)
    ['A', 'B']
    """
    count = thread_count(threads)
    if count <= 1 or len(items) < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, items))
