"""How many cores this process may use, and work shared between threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def available_cores() -> int:
    """Return how many cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_threads(work: Callable[[Item], Result], items: Sequence[Item], threads: int | None) -> list[Result]:
    """Return ``work(item)`` for each item, in order; ``threads=None`` takes all available cores.

    >>> in_threads(str.upper, ["a", "b"], threads=2)
    ['A', 'B']
    """
    count = available_cores() if threads is None else threads
    if count <= 1 or len(items) < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, items))
