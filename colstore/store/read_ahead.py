"""Tells the system which parts of a mapped file will be read, so that a cold disk is asked for all of them at once.

Without it every page that is not in memory is waited for in turn, and Linux reads 128 KiB around each. Asking costs a
system call a range, so a sample of the ranges is looked at first: where they are in memory already, nothing is asked.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

NEAR_BYTES = 64 * 1024
"""Ranges closer together than this are read as one: a disk reads the gap faster than it seeks."""
SAMPLE = 24
Offsets = NDArray[np.int64]


def read_ahead(data: NDArray[np.uint8], starts: Offsets, stops: Offsets) -> int:
    """Ask for byte ranges ``starts[i]..stops[i]`` of a mapped file, and return how many ranges that came to.

    Where the platform has no such call, or the bytes are in memory, nothing happens. Contents never change.
    """
    mapping = _mapping_of(data)
    if mapping is None or not len(starts):
        return 0
    low, high = merged(starts, stops, NEAR_BYTES)
    if _in_memory(data, low):
        return 0
    for start, stop in zip(low.tolist(), high.tolist(), strict=True):
        mapping.madvise(mmap.MADV_WILLNEED, start, stop - start)
    return len(low)


def merged(starts: Offsets, stops: Offsets, near: int) -> tuple[Offsets, Offsets]:
    """Return the ranges in ascending order on whole pages, those less than ``near`` bytes apart as one.

    >>> low, high = merged(np.array([900_000, 5, 4_000]), np.array([900_001, 10, 9_000]), near=0)
    >>> (low // mmap.PAGESIZE).tolist() == [0, 900_000 // mmap.PAGESIZE], bool(high[0] >= 9_000)
    (True, True)
    """
    order = np.argsort(starts, kind="stable")
    low = starts[order] // mmap.PAGESIZE * mmap.PAGESIZE
    high = np.maximum.accumulate(stops[order])
    first = np.flatnonzero(np.concatenate([[True], low[1:] > high[:-1] + near]))
    return low[first], np.concatenate([high[first[1:] - 1], high[-1:]])


def _mapping_of(data: NDArray[np.uint8]) -> mmap.mmap | None:
    """Return the map behind an array, if there is one that can be advised on."""
    base: Any = data
    while isinstance(base, np.ndarray | memoryview):
        base = base.base if isinstance(base, np.ndarray) else base.obj
    return base if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_WILLNEED") else None


def _in_memory(data: NDArray[np.uint8], low: Offsets) -> bool:
    """Tell whether the first pages of a sample of ranges are all in memory; ``False`` where that cannot be told."""
    probe = _mincore()
    if probe is None:
        return False
    chosen = np.unique(np.linspace(0, len(low) - 1, SAMPLE).astype(np.int64))
    state = (ctypes.c_ubyte * 1)()
    first = data.ctypes.data
    for start in low[chosen].tolist():  # a page that is needed; those between two ranges may never be
        if probe(ctypes.c_void_p(first + start), ctypes.c_size_t(1), state) != 0 or not state[0] & 1:
            return False
    return True


@cache
def _mincore() -> Any:  # noqa: ANN401 - a foreign function
    """Return the C library's ``mincore``; ``None`` where there is none."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        return ctypes.CDLL(None).mincore
    except (OSError, AttributeError):
        return None
